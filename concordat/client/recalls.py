"""The model owner's recall, signed here and kept here, and what others' recalls say.

recalled/<digest>   the recall (JWS) of a model that we own; our own node refuses the model from then on
"""

from dataclasses import dataclass
from pathlib import Path

from concordat import clock
from concordat import recall as statements
from concordat.canonical import digest, digest_bytes
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.client.listed import RecallAnswer
from concordat.fields import plain
from concordat.files import write_private
from concordat.model import Manifest, check_manifest
from concordat.reasons import Reason, Refused
from concordat.recall import Classification, Recall, Why


@dataclass(frozen=True)
class CheckedModel:
    """A model's manifest, and its recall if there is one, each verified against the owner's pinned keys."""

    manifest: Manifest
    recall: Recall | None


def fetch_model(home: ClientHome, api: Api, model: str) -> CheckedModel:
    """The model of this digest, and whether its owner has recalled it.

    Raises:
        Refused: DIGEST_MISMATCH for another manifest, and what `model.check_manifest` and :func:`check` refuse.
    """
    answer = api.model(model)
    manifest = check_manifest(answer["manifest"], home.pins.lasting_keyring)
    if digest(plain(manifest)) != model:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The coordinator hands out another manifest.", field="model")
    return CheckedModel(manifest, check(home, answer["recall"], model=model, owner=manifest["owner"]))


def fetch_own(home: ClientHome, api: Api, model: str) -> Manifest:
    """A model of ours. Raises Refused: WRONG_INSTITUTION for another's, and what :func:`fetch_model` refuses."""
    manifest = fetch_model(home, api, model).manifest
    if manifest["owner"] != home.institution:
        raise Refused(Reason.WRONG_INSTITUTION, detail=f"{manifest['owner']} owns this model.", field="model")
    return manifest


def check(home: ClientHome, answer: RecallAnswer | None, *, model: str, owner: str) -> Recall | None:
    """The owner's recall in the coordinator's answer; None if it says that there is none. Raises Refused as
    `recall.check_recall` does."""
    if answer is None:
        return None
    return statements.check_recall(answer["statement"], home.pins.lasting_keyring, model=model, owner=owner)


def recall(
    home: ClientHome, api: Api, model: str, *, reason: Why, classification: Classification, advice: str
) -> Recall:
    """Recall a model of ours for good. The statement is on disk before it is sent; given twice, it is sent twice.

    Args:
        advice: what users have to do, in one line without anything about a person.

    Raises:
        Refused: CONFLICT if it was recalled from here with other words; FIELD_INVALID, naming the field; and what
            :func:`fetch_own` and the coordinator refuse.
    """
    fetch_own(home, api, model)
    file = own(home.directory, model)
    if not file.exists():
        token = statements.recall(
            model=model,
            institution=home.institution,
            reason=reason,
            classification=classification,
            advice=advice,
            time=clock.now(),
            key=home.keys.identity,
        )
        file.parent.mkdir(mode=0o700, exist_ok=True)
        write_private(file, token.encode(), replace=False)
    kept = file.read_text()
    said = statements.peek_recall(kept)
    if (said["reason"], said["classification"], said["advice"]) != (reason, classification, advice):
        detail = f"It was recalled from here at {said['time']} with other words, and what was said stays."
        raise Refused(Reason.CONFLICT, detail=detail, field="recall")
    api.recall_model(model, kept)
    return said


def own(directory: Path, model: str) -> Path:
    """The file with the institution's own recall of the model of this digest."""
    return directory / "recalled" / digest_bytes(model).hex()
