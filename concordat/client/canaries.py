"""The client's canaries: mixed in at random, checked before anything else is opened, and an alarm when one is false."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from concordat import alarm, canaries, clock
from concordat.canaries import Canary
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.commitments import Share
from concordat.definition import scale_of
from concordat.model import answers_of
from concordat.outputs import OutputShares
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt
from concordat.request import Request
from concordat.ring import Ring


@dataclass(frozen=True, repr=False)
class Batch:
    """The records of one request, in the order in which they are sent.

    Attributes:
        place: of the person's own.
        canaries: of every record, the canary and those that stand for its what-ifs; empty at `place`.
        secrets: of every record, what its design has it shared with (`Design.secret`).
        sheet: the owner's signed sheet (JWS) that the canaries are on; empty without any.
    """

    records: Sequence[NDArray[np.float64]]
    secrets: Sequence[Ring]
    place: int
    canaries: Sequence[Sequence[Canary]]
    sheet: str


def mix(home: ClientHome, definition: CheckedDefinition, rows: NDArray[np.float64]) -> Batch:
    """Hide a person's encoded record, with its what-ifs (1 + w, columns), among the definition's number of canaries.

    Raises:
        Refused: CANARIES_MISSING if the model's owner has sealed none to us, what `canaries.open_sheet` refuses, and
            VALUE_OUT_OF_RANGE for a record to which a tabular design gives no operator that fits.
    """
    wanted = definition.content["canaries"]
    if not wanted:
        return _batch(definition, [rows], 0, [[]], "")
    if not definition.sealed_canaries:
        raise Refused(Reason.CANARIES_MISSING)
    token, sheet = canaries.open_sheet(
        definition.sealed_canaries,
        requester=home.institution,
        definition=definition.content,
        owner=definition.manifest["owner"],
        keyring=home.pins.lasting_keyring,
        key=home.keys.sealing,
    )
    chance = secrets.SystemRandom()
    chosen = [[canary, *chance.choices(sheet, k=len(rows) - 1)] for canary in chance.sample(sheet, wanted)]
    place = chance.randrange(wanted + 1)
    records = [canaries.rows(canary, what_ifs) for canary, *what_ifs in chosen]
    mixed = [*records[:place], rows, *records[place:]]
    return _batch(definition, mixed, place, [*chosen[:place], [], *chosen[place:]], token)


def check(
    home: ClientHome,
    definition: CheckedDefinition,
    *,
    job: str,
    request: Request,
    request_digest: str,
    known: Sequence[Sequence[Canary]],
    sheet: str,
    inputs: Sequence[Mapping[str, Share]],
    outputs: Mapping[str, Sequence[OutputShares]],
    receipts: Mapping[str, Receipt],
    signed: Sequence[str],
) -> str | None:
    """Open every canary. None if all are right; else an alarm (JWS) about the first that is not.

    Args:
        known: the canaries by record (`Batch.canaries`), and
        sheet: the signed sheet (JWS) that they are on.
        inputs: the openings of the input shares, by record.
        outputs: every party's output shares, by record.
        signed: the receipts as they were signed (JWS).
    """
    design, target, answers = definition.design, scale_of(definition.content), answers_of(definition.manifest)
    for place, each in enumerate(known):
        shares = {party: of_party[place] for party, of_party in outputs.items() if place < len(of_party)}
        if each and not canaries.came_back_right(
            shares, receipts, each, design=design, target=target, place=place, answers=answers
        ):
            owner = definition.manifest["owner"]
            return alarm.raise_alarm(
                job=job,
                request=request_digest,
                name=request["request"],
                requester=home.institution,
                owner=owner,
                place=place,
                commitments=request["commitments"][place],
                shares={
                    "sheet": sheet,
                    "receipts": list(signed),
                    "inputs": dict(inputs[place]),
                    "outputs": shares,
                },
                owner_key=home.pins.sealing(owner, "owner"),
                time=clock.now(),
                key=home.keys.identity,
            )
    return None


def _batch(
    definition: CheckedDefinition,
    records: Sequence[NDArray[np.float64]],
    place: int,
    known: Sequence[Sequence[Canary]],
    sheet: str,
) -> Batch:
    secrets = [definition.design.at(record[0]).secret for record in records]
    return Batch(records, secrets, place, known, sheet)
