"""The definition and what it names, verified and kept: a result is shown with them when nobody can be asked."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from concordat import canonical
from concordat.bedside.receipts import AGAIN
from concordat.bedside.store import Store
from concordat.client import model_cards
from concordat.client.api import Api
from concordat.client.governance import CheckedDefinition, fetch_definition
from concordat.client.home import ClientHome
from concordat.definition import Definition
from concordat.fields import plain, read
from concordat.model import Manifest
from concordat.model_card import ModelCard
from concordat.protocol import Protocol
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

_NAME, _UNFIT = "documents", "unfit"
_NOT_HAD = AGAIN | {Reason.NOT_FOUND}


@dataclass(frozen=True)
class Documents:
    """A definition, its protocol, schema and model manifest, as they were verified on this machine.

    `owner` is the name of the model's owner, as it is pinned here.
    `card` is the newest that was ever verified here of the model's owner, if there was one; `card_doubt` says why the
    last look at it came to nothing.
    """

    definition: Definition
    protocol: Protocol
    schema: FeatureSchema
    manifest: Manifest
    owner: str
    card: ModelCard | None = None
    card_doubt: str = ""


def fetch(home: ClientHome, api: Api, store: Store, digest: str) -> Documents:
    """Verify the definition and what it names, and keep them; with the model's card, without which results are shown
    all the same, and which is then said to be missing.

    Raises:
        Refused: what `fetch_definition` refuses; KIND_NOT_ALLOWED for a model that tells several classes apart, for
            which cards and page have no form yet.
    """
    checked = fetch_definition(home, api, digest)
    if checked.manifest["classes"]:
        with store.write() as db:
            db.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (_UNFIT, digest))
        check_fit(store, digest)
    answer = api.definition(digest)
    if canonical.digest(answer["schema"]) != checked.content["schema"]:
        raise Refused(Reason.DIGEST_MISMATCH, field="schema")
    card, doubt = _card(home, api, checked, _kept_card(store, checked.content["model"]))
    content = {
        "digest": digest,
        "card": card and plain(card),
        "card_doubt": doubt,
        "definition": plain(checked.content),
        "protocol": plain(checked.protocol),
        "schema": answer["schema"],
        "manifest": plain(checked.manifest),
        "owner": home.pins.enrolment(checked.manifest["owner"]).document["name"],
    }
    text = json.dumps(content)
    with store.write() as db:
        db.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (_NAME, text))
    return _read(text)[1]


def check_fit(store: Store, digest: str) -> None:
    """Raises Refused(KIND_NOT_ALLOWED) for a definition that was found to be none for a bedside."""
    with store.read() as db:
        row = db.execute("SELECT content FROM document WHERE name = ?", (_UNFIT,)).fetchone()
    if row is not None and row["content"] == digest:
        detail = "The bedside shows one probability, and this model tells several classes apart: use `concordat open`."
        raise Refused(Reason.KIND_NOT_ALLOWED, detail=detail, field="definition")


def kept(store: Store, digest: str) -> Documents | None:
    """Those that were kept of this definition, if they were."""
    text = _stored(store)
    known, found = _read(text) if text else ("", None)
    return found if known == digest else None


def _card(
    home: ClientHome, api: Api, checked: CheckedDefinition, known: ModelCard | None
) -> tuple[ModelCard | None, str]:
    """The newest card, and why it is not known that it is. An older one than was seen before never takes its place."""
    try:
        card = model_cards.fetch(home, api, checked.content["model"], owner=checked.manifest["owner"])
        model_cards.check_newer(card, known)
    except Refused as refused:
        failed = "fetched" if refused.reason in _NOT_HAD else "verified"
        return known, f"The owner's model card could not be {failed}: {refused.detail}"
    return card, ""


def _kept_card(store: Store, model: str) -> ModelCard | None:
    """The card of a model that was kept here, under whichever definition."""
    text = _stored(store)
    card = _read(text)[1].card if text else None
    return card if card and card["model"] == model else None


def _stored(store: Store) -> str:
    with store.read() as db:
        row = db.execute("SELECT content FROM document WHERE name = ?", (_NAME,)).fetchone()
    return str(row["content"]) if row else ""


@lru_cache(maxsize=2)
def _read(text: str) -> tuple[str, Documents]:
    """What is kept: the digest of the definition, and the documents. A page asks for them many times."""
    content: dict[str, Any] = json.loads(text)
    card = content.get("card")
    documents = Documents(
        read(content["definition"], Definition),
        read(content["protocol"], Protocol),
        FeatureSchema.from_json(content["schema"]),
        read(content["manifest"], Manifest),
        content.get("owner", content["manifest"]["owner"]),  # what an earlier version kept has no name
        read(card, ModelCard) if card else None,
        content.get("card_doubt", ""),
    )
    return content["digest"], documents
