"""What reopens a decision, sealed to our records key and our escrow: on our disk first, then at the coordinator.

Without a records-keys document nothing is sealed, and only the work folder opens a decision.
"""

from collections.abc import Mapping
from typing import get_args

from concordat import clock
from concordat.canonical import Json
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.client.work import Work
from concordat.fields import plain, read
from concordat.package import Asked, Signed, Stage, seal
from concordat.request import Prepared

STAGES: tuple[Stage, ...] = get_args(Stage)


def of_request(home: ClientHome, request: str, prepared: Prepared, place: int) -> Signed | None:
    """The package at the request: the signed request and the openings of the person's record, not of canaries."""
    asked: dict[str, Json] = {
        "v": 1,
        "request": prepared.token,
        "place": place,
        "inputs": {party: dict(plain(share)) for party, share in prepared.openings[place].items()},
    }
    return _seal(home, request, "request", plain(read(asked, Asked)))


def keep_result(home: ClientHome, work: Work, disclosure: Mapping[str, Json]) -> None:
    """Seal the disclosure of an opened result into the work folder, once."""
    if work.package("result") is None and (package := _seal(home, work.request, "result", disclosure)):
        work.keep_package("result", package)


def hand_in(api: Api, work: Work, stage: Stage) -> None:
    """Hand in the package of a stage, if there is one; the same again is no harm."""
    if package := work.package(stage):
        api.keep_package(work.job, package.statement, package.package)


def _seal(home: ClientHome, request: str, stage: Stage, content: Mapping[str, Json]) -> Signed | None:
    keys = home.records_keys
    if not keys:
        return None
    return seal(content, request=request, stage=stage, keys=keys, now=clock.now(), key=home.keys.identity)
