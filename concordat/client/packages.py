"""What reopens a decision, sealed to our records key and our escrow: on our disk first, then at the coordinator.

Without a records-keys document nothing is sealed, and only the work folder opens a decision.
"""

from collections.abc import Mapping
from typing import get_args

from concordat import clock
from concordat.asking import Prepared
from concordat.canonical import Json, digest
from concordat.client.answers import KeptPackage
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.client.work import Work
from concordat.fields import plain, read
from concordat.package import Asked, Signed, Stage, read_statement, seal, state
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

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


def hand_in(api: Api, work: Work, stage: Stage, key: SigningKey | None = None) -> None:
    """Hand in the package of a stage, if there is one; the same again is no harm.

    Args:
        key: our identity key of now, to sign for it again if the one that we signed with does not count any more.
    """
    package = work.package(stage)
    if package is None:
        return
    try:
        api.keep_package(work.job, package.statement, package.package)
    except Refused as refused:
        if key is None or refused.reason not in (Reason.KEY_UNKNOWN, Reason.KEY_REVOKED):
            raise
        again = state(package.package, now=clock.now(), key=key)
        api.keep_package(work.job, again.statement, again.package)


def check_kept(home: ClientHome, request: str, kept: KeptPackage) -> None:
    """That this is what we signed for, of this request: whoever keeps it could seal something else to our keys.

    Raises Refused: DIGEST_MISMATCH; what `read_statement` refuses.
    """
    said = read_statement(kept["statement"], home.pins.lasting_keyring)
    about = (home.institution, request, kept["stage"], digest(kept["package"].encode()))
    if (said["institution"], said["request"], said["stage"], said["package"]) != about:
        raise Refused(Reason.DIGEST_MISMATCH, detail="This is not the package that we signed for.", field="package")


def _seal(home: ClientHome, request: str, stage: Stage, content: Mapping[str, Json]) -> Signed | None:
    keys = home.records_keys
    if not keys:
        return None
    return seal(content, request=request, stage=stage, keys=keys, now=clock.now(), key=home.keys.identity)
