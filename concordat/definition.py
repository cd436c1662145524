"""The computation definition: the one document that institutions approve, by its digest, on chain.

It fixes everything a node needs in order to say no: which model, schema, design and protocol (by digest), who computes,
who deals, who may ask and for which purposes, what is opened, and on which basis shares cross each border.
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import permutations
from typing import Annotated, Literal

from annotated_types import Ge
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.canonical import Json, digest
from concordat.documents import Keyring, sign, verify
from concordat.fields import STRICT, Digest, Jurisdiction, Slug, Text, Time, plain, read
from concordat.model import KINDS, Manifest
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

Role = Literal["party", "dealer"]
"""What a node does in a job."""

OPENED = ["prediction", "coefficients", "intercept", "total_sum_of_squares"]
"""What is opened, to the requester alone: d + 3 numbers for d groups of features."""

Transfer = TypedDict("Transfer", {"from": Jurisdiction, "to": Jurisdiction, "basis": Text})
Transfer.__doc__ = "Shares that go from one jurisdiction to another, and the legal basis on which they do."


@with_config(STRICT)
class Quorum(TypedDict):
    """How many of which institutions must approve on chain; a party's own approval is needed besides."""

    of: list[Slug]
    needed: Annotated[int, Ge(1)]


@with_config(STRICT)
class Definition(TypedDict):
    """The document. `parties` is ordered: the order is the engine's rank. Jurisdictions are alpha-2 codes."""

    v: Literal[1]
    study: Slug
    protocol: Digest
    kind: Literal["explain"]
    model: Digest
    schema: Digest
    design: Digest
    target: Literal["log-odds"]
    parties: list[Slug]
    dealer: Slug
    requesters: list[Slug]
    purposes: list[Slug]
    opened: list[Text]
    disclosure: Literal["none", "full"]
    transfers: list[Transfer]
    jurisdictions: list[Jurisdiction]
    quorum: Quorum
    valid_until: Time


@with_config(STRICT)
class WeightDisclosure(TypedDict):
    """The model owner's signed statement that requesters may learn the weights."""

    model: Digest
    disclosure: Literal["full"]
    study: Slug
    issued: Time


class Computing(TypedDict):
    """What definition and ticket have in common: who computes, in order, and who deals."""

    parties: list[Slug]
    dealer: Slug


def nodes(of: Computing) -> tuple[str, ...]:
    """Everyone who takes part in a job, in the order of their ranks: the parties, then the dealer."""
    return (*of["parties"], of["dealer"])


def check(
    document: Mapping[str, Json],
    *,
    manifest: Manifest,
    disclosure: str | None = None,
    keyring: Keyring | None = None,
    now: datetime | None = None,
) -> Definition:
    """A definition in which every field is of its form and fits the others and the model.

    Args:
        manifest: the checked manifest of the model that the definition names.
        disclosure: the owner's signed disclosure statement (JWS), where the rule below asks for one.
        keyring: identity keys by institution, to verify the statement with.
        now: refuse a definition that has expired by then.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN, FIELD_INVALID or DIGEST_MISMATCH, naming the field; DEFINITION_EXPIRED;
            DISCLOSURE_REQUIRED for a model whose weights one log-odds explanation gives away, unless the definition
            says "full" and the owner signed the same.
    """
    definition = read(document, Definition)
    _check_bodies(definition)
    if definition["model"] != digest(plain(manifest)):
        raise Refused(Reason.DIGEST_MISMATCH, detail="The definition names another model.", field="model")
    if definition["schema"] != manifest["schema"]:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The model was made for another schema.", field="schema")
    if definition["parties"] != manifest["parties"]:
        raise _invalid("parties", "The model is shared between other parties, or in another order.")
    if now is not None and now >= clock.parse(definition["valid_until"]):
        raise Refused(Reason.DEFINITION_EXPIRED, field="valid_until")
    _check_disclosure(definition, manifest, disclosure, keyring or {})
    return definition


def sign_disclosure(*, model: str, study: str, key: SigningKey) -> str:
    """The owner's statement that whoever explains with this model may learn its weights. `model` is a digest."""
    statement = {"model": model, "disclosure": "full", "study": study, "issued": clock.rfc3339(clock.now())}
    return sign(statement, WeightDisclosure, kind="disclosure", key=key)


def check_disclosure(token: str, *, owner: str, keyring: Keyring) -> WeightDisclosure:
    """The statement in a JWS signed by the model's owner. Raises Refused as `documents.verify` does."""
    if owner not in keyring:
        raise Refused(Reason.KEY_UNKNOWN, detail="No key of the model's owner is known.")
    return verify(token, WeightDisclosure, kind="disclosure", keys=keyring[owner])


def _invalid(field: str, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=field)


def _check_bodies(definition: Definition) -> None:
    lists = {name: definition[name] for name in ("parties", "requesters", "purposes", "jurisdictions")}
    for field, items in {**lists, "quorum.of": definition["quorum"]["of"]}.items():
        if not items or len(set(items)) != len(items):
            raise _invalid(field, "At least one is named, and none twice.")
    if len(definition["parties"]) < 2:
        raise _invalid("parties", "A secret is shared between two parties or more.")
    if definition["dealer"] in definition["parties"]:
        raise _invalid("dealer", "The dealer is no compute party: together with one it could read everything.")
    if definition["opened"] != OPENED:
        raise _invalid("opened", "An explanation opens exactly: " + ", ".join(OPENED) + ".")
    if definition["quorum"]["needed"] > len(definition["quorum"]["of"]):
        raise _invalid("quorum.needed", "More approvals are needed than there are institutions.")
    _check_transfers(definition)


def _check_transfers(definition: Definition) -> None:
    """Requesters send shares to all parties, parties exchange masked values and answer: every border counts."""
    stated = [(transfer["from"], transfer["to"]) for transfer in definition["transfers"]]
    needed = list(permutations(definition["jurisdictions"], 2))
    for pair in needed:
        if pair not in stated:
            detail = f"No legal basis is stated for shares that go from {pair[0]} to {pair[1]}."
            raise Refused(Reason.TRANSFER_BASIS_MISSING, detail=detail, field="transfers")
    if sorted(stated) != sorted(needed):
        raise _invalid("transfers", "Each pair of the named jurisdictions stands once, and no other.")


def _check_disclosure(definition: Definition, manifest: Manifest, token: str | None, keyring: Keyring) -> None:
    needed = KINDS[manifest["kind"]].told_by_one_explanation
    if needed and (definition["disclosure"] != "full" or token is None):
        raise Refused(Reason.DISCLOSURE_REQUIRED, field="disclosure")
    if definition["disclosure"] == "none":
        return
    if token is None:
        raise Refused(Reason.DISCLOSURE_REQUIRED, detail="The owner's signed statement is missing.", field="disclosure")
    statement = check_disclosure(token, owner=manifest["owner"], keyring=keyring)
    if (statement["model"], statement["study"]) != (definition["model"], definition["study"]):
        raise Refused(
            Reason.DISCLOSURE_REQUIRED,
            detail="The owner's statement is about another model or study.",
            field="disclosure",
        )
