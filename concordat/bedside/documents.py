"""The definition and what it names, verified and kept: a result is shown with them when nobody can be asked."""

import json
from dataclasses import dataclass
from typing import Any

from concordat import canonical
from concordat.bedside.store import Store
from concordat.client.api import Api
from concordat.client.governance import fetch_definition
from concordat.client.home import ClientHome
from concordat.definition import Definition
from concordat.fields import plain, read
from concordat.model import Manifest
from concordat.protocol import Protocol
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

_NAME = "documents"


@dataclass(frozen=True)
class Documents:
    """A definition, its protocol, schema and model manifest, as they were verified on this machine."""

    definition: Definition
    protocol: Protocol
    schema: FeatureSchema
    manifest: Manifest


def fetch(home: ClientHome, api: Api, store: Store, digest: str) -> Documents:
    """Verify the definition and what it names, and keep them.

    Raises:
        Refused: what `fetch_definition` refuses; KIND_NOT_ALLOWED for a model that tells several classes apart, for
            which cards and page have no form yet.
    """
    checked = fetch_definition(home, api, digest)
    if checked.manifest["classes"]:
        detail = "The bedside shows one probability, and this model tells several classes apart: use `concordat open`."
        raise Refused(Reason.KIND_NOT_ALLOWED, detail=detail, field="definition")
    answer = api.definition(digest)
    if canonical.digest(answer["schema"]) != checked.content["schema"]:
        raise Refused(Reason.DIGEST_MISMATCH, field="schema")
    content = {
        "digest": digest,
        "definition": plain(checked.content),
        "protocol": plain(checked.protocol),
        "schema": answer["schema"],
        "manifest": plain(checked.manifest),
    }
    with store.write() as db:
        db.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (_NAME, json.dumps(content)))
    return _documents(content)


def kept(store: Store, digest: str) -> Documents | None:
    """Those that were kept of this definition, if they were."""
    with store.read() as db:
        row = db.execute("SELECT content FROM document WHERE name = ?", (_NAME,)).fetchone()
    content = json.loads(row["content"]) if row else {}
    return _documents(content) if content.get("digest") == digest else None


def _documents(content: dict[str, Any]) -> Documents:
    return Documents(
        read(content["definition"], Definition),
        read(content["protocol"], Protocol),
        FeatureSchema.from_json(content["schema"]),
        read(content["manifest"], Manifest),
    )
