"""The computation definition: the one document that institutions approve, by its digest, on chain.

It fixes everything a node needs in order to say no: which model, schema, design and protocol (by digest), who computes,
who deals, who may ask and for which purposes, what is opened to whom, how often, and on which basis shares cross each
border.
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import permutations
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.canonical import Json, digest
from concordat.data_use import DuoCode
from concordat.documents import Keyring, sign, verify
from concordat.extraction import Extraction, estimate
from concordat.fields import STRICT, Digest, Jurisdiction, MaybeDecimal, MaybeDigest, Slug, Text, Time, plain, read
from concordat.kinds.kind import Scale
from concordat.model import KINDS, Manifest, answers_of
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

Role = Literal["party", "dealer"]
"""What a node does in a job."""

Kind = Literal["explain", "train", "audit"]
"""What is computed: a prediction with its explanation, a model, or figures about a model's use."""

Target = Literal["log-odds", "probability", "none"]
"""What prediction and explanation are in, one of the model's `Kind.targets`; "none" where nothing is explained."""

OPENED: Mapping[Kind, list[str]] = {
    "explain": ["prediction", "coefficients", "intercept", "sum_of_squares", "odd_squares"],
    "train": ["model-shares"],
    "audit": ["counts"],
}
"""What comes out, to the recipients alone. `odd_squares` do of a mirrored design only: its intervals follow from them.
`model-shares` stay shares: of a training nothing is opened."""

SMALLEST_AUDIT_CELL, LARGEST_AUDIT_CELL = 5, 1 << 20
"""Below, an opened count could point to a person; above, the engines' comparison would not hold."""

MOST_RECORDS = 64
"""How many records one job may compute, canaries included."""

MOST_WHAT_IFS = 16

PositiveInt = Annotated[int, Ge(1)]

Transfer = TypedDict("Transfer", {"from": Jurisdiction, "to": Jurisdiction, "basis": Text})
Transfer.__doc__ = "Shares that go from one jurisdiction to another, and the legal basis on which they do."


@with_config(STRICT)
class Budgets(TypedDict):
    """How much may be asked: jobs a day (UTC) and altogether, for each requester, and numbers opened altogether."""

    jobs_a_day: PositiveInt
    jobs: PositiveInt
    scalars: PositiveInt


@with_config(STRICT)
class Audit(TypedDict):
    """An examination that the computation must undergo: of which kind, by which method, and how often at least."""

    kind: Literal["fairness", "calibration", "extraction"]
    method: Text
    every_days: PositiveInt


@with_config(STRICT)
class Quorum(TypedDict):
    """How many of which institutions must approve on chain; a party's own approval is needed besides."""

    of: list[Slug]
    needed: PositiveInt


@with_config(STRICT)
class Definition(TypedDict):
    """The document. `parties` is ordered: the order is the engine's rank. Jurisdictions are alpha-2 codes.

    `design`, `target` and a fixed `seed` belong to explanations. Other kinds have the target "none", and no design but
    for their plan (`audit_plan`, `training_plan`). With each record that is asked about go as many `canaries`,
    records whose results its client knows, and up to `what_ifs` variants of the record, which are predicted and not
    explained. `impossible` is which part of an explanation's perturbed records may be clinically impossible, from 0 to
    1; empty for other kinds. `model` is the one that is explained, audited, or trained further. `recipients` may open
    what is opened. `data_use` are the codes of the protocol's that this computation makes use of. Figures of an audit
    about fewer than `minimum_cell` people are not opened. `emergent`: whether an urgent decision may be asked for.
    `jurisdictions` are those that shares touch, `result_jurisdictions` those that results may go to. `extraction` says
    how much of the model explanations give away, and is null for other kinds."""

    v: Literal[3]
    study: Slug
    protocol: Digest
    kind: Kind
    model: Digest
    schema: Digest
    design: MaybeDigest
    seed: Literal["fixed", "private"]
    target: Target
    canaries: Annotated[int, Ge(0), Le(MOST_RECORDS - 1)]
    what_ifs: Annotated[int, Ge(0), Le(MOST_WHAT_IFS)]
    impossible: MaybeDecimal
    parties: list[Slug]
    dealer: Slug
    requesters: list[Slug]
    recipients: list[Slug]
    purposes: list[Slug]
    data_use: list[DuoCode]
    opened: list[Text]
    disclosure: Literal["none", "full"]
    budgets: Budgets
    extraction: Extraction | None
    minimum_cell: PositiveInt
    audits: list[Audit]
    emergent: bool
    transfers: list[Transfer]
    jurisdictions: list[Jurisdiction]
    result_jurisdictions: list[Jurisdiction]
    quorum: Quorum
    valid_until: Time


@with_config(STRICT)
class WeightDisclosure(TypedDict):
    """The model owner's signed statement that requesters may learn the weights."""

    model: Digest
    disclosure: Literal["full"]
    study: Slug
    issued: Time


def opens(kind: Kind, *, mirrored: bool, what_ifs: int = 0) -> list[str]:
    """What a definition of this kind opens, by name, and so says in its field `opened`. `mirrored` is of the design."""
    names = [name for name in OPENED[kind] if mirrored or name != "odd_squares"]
    return names + ["what_ifs"] * (what_ifs > 0)


def opened_scalars(definition: Definition, groups: int, answers: int = 1) -> int:
    """How many numbers one job opens: for each record, and for each of the model's `answers` (`model.answers_of`), a
    coefficient for each of the `groups` of features, a prediction for each what-if, and one for each other name;
    nothing where only shares come out.

    Each is a function of the secret model, so that they add up to it. Canaries count too: nobody but the requester can
    tell them from other records, and their results may be news to it. Of an audit they are the plan's cells, which
    stand for `groups`.
    """
    if definition["kind"] != "explain":
        return groups if definition["kind"] == "audit" else 0
    sizes = {"coefficients": groups, "what_ifs": definition["what_ifs"]}
    return (1 + definition["canaries"]) * answers * sum(sizes.get(name, 1) for name in definition["opened"])


def scale_of(definition: Definition) -> Scale:
    """On which scale the definition's prediction and explanation are. Raises Refused(KIND_NOT_ALLOWED) for others."""
    target = definition["target"]
    if target == "none":
        raise Refused(Reason.KIND_NOT_ALLOWED, field="definition")
    return target


def extraction_of(
    definition: Definition, manifest: Manifest, groups: int, *, secret_operator: bool = False
) -> Extraction | None:
    """What a definition states as its `extraction`, from its other fields, the model's manifest, the number of `groups`
    of its design, and whether that is fitted by a `secret_operator`."""
    if definition["kind"] != "explain":
        return None
    return estimate(
        manifest,
        scalars=opened_scalars(definition, groups, answers_of(manifest)),
        budget=definition["budgets"]["scalars"],
        jobs=definition["budgets"]["jobs"] * len(definition["requesters"]),
        secret_operator=secret_operator,
    )


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
    groups: int,
    mirrored: bool,
    secret_operator: bool = False,
    disclosure: str | None = None,
    keyring: Keyring | None = None,
    now: datetime | None = None,
) -> Definition:
    """A definition in which every field is of its form and fits the others and the model.

    Args:
        manifest: the checked manifest of the model that the definition names.
        groups: how many groups of features the design has that it names, or cells an audit's plan; 0 without either.
        mirrored: whether that design is; False for a kind without one.
        secret_operator: whether the requester shares the design's operator as a secret.
        disclosure: the owner's signed disclosure statement (JWS), where the rule below asks for one.
        keyring: identity keys by institution, to verify the statement with.
        now: refuse a definition that has expired by then.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN, FIELD_INVALID or DIGEST_MISMATCH, naming the field; DEFINITION_EXPIRED;
            DISCLOSURE_REQUIRED for a model whose weights one explanation gives away, on whichever scale, unless the
            definition says "full" and the owner signed the same.
    """
    definition = read(document, Definition)
    _check_bodies(definition)
    _check_kind(definition, mirrored)
    if definition["model"] != digest(plain(manifest)):
        raise Refused(Reason.DIGEST_MISMATCH, detail="The definition names another model.", field="model")
    if definition["schema"] != manifest["schema"]:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The model was made for another schema.", field="schema")
    targets = KINDS[manifest["kind"]].targets
    if definition["target"] not in (*targets, "none"):
        detail = f"A model of the kind “{manifest['kind']}” is explained in: {', '.join(targets)}."
        raise _invalid("target", detail)
    if definition["parties"] != manifest["parties"]:
        raise _invalid("parties", "The model is shared between other parties, or in another order.")
    if now is not None and now >= clock.parse(definition["valid_until"]):
        raise Refused(Reason.DEFINITION_EXPIRED, field="valid_until")
    if definition["kind"] == "audit" and answers_of(manifest) > 1:
        raise _invalid("kind", "A model that tells several classes apart is not audited by this version.")
    if definition["kind"] == "train" and manifest["kind"] != "linear":
        raise _invalid("kind", "Logistic regressions are trained by this version, and no other kind of model.")
    if definition["kind"] == "train" and definition["requesters"] != [manifest["owner"]]:
        raise _invalid("requesters", "The model's owner asks for its training, and nobody else.")
    _check_disclosure(definition, manifest, disclosure, keyring or {})
    if definition["extraction"] != extraction_of(definition, manifest, groups, secret_operator=secret_operator):
        raise _invalid("extraction", "This is not what its model, design and budgets give away.")
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


_SETS = ("parties", "requesters", "recipients", "purposes", "data_use", "jurisdictions", "result_jurisdictions")


def _check_bodies(definition: Definition) -> None:
    lists: dict[str, list[str]] = {name: definition[name] for name in _SETS}  # type: ignore[literal-required]
    for field, items in {**lists, "quorum.of": definition["quorum"]["of"]}.items():
        if not items or len(set(items)) != len(items):
            raise _invalid(field, "At least one is named, and none twice.")
    if len(definition["parties"]) < 2:
        raise _invalid("parties", "A secret is shared between two parties or more.")
    if definition["dealer"] in definition["parties"]:
        raise _invalid("dealer", "The dealer is no compute party: together with one it could read everything.")
    if definition["quorum"]["needed"] > len(definition["quorum"]["of"]):
        raise _invalid("quorum.needed", "More approvals are needed than there are institutions.")
    audits = [(audit["kind"], audit["method"]) for audit in definition["audits"]]
    if len(set(audits)) != len(audits):
        raise _invalid("audits", "One audit is named twice.")
    _check_transfers(definition)


def _check_kind(definition: Definition, mirrored: bool) -> None:
    kind = definition["kind"]
    opened = opens(kind, mirrored=mirrored, what_ifs=definition["what_ifs"])
    if definition["opened"] != opened:
        raise _invalid("opened", f"This definition opens exactly: {', '.join(opened)}.")
    if kind != "explain":
        for field, number in (("canaries", definition["canaries"]), ("what_ifs", definition["what_ifs"])):
            if number:
                raise _invalid(field, "Only an explanation has any.")
        if definition["target"] != "none":
            raise _invalid("target", "Only an explanation has a target.")
        if not definition["design"]:
            raise _invalid("design", "An audit and a training have their plan for a design.")
        if definition["impossible"]:
            raise _invalid("impossible", "Only an explanation has perturbed records.")
        if set(definition["recipients"]) != set(definition["requesters"]):
            raise _invalid("recipients", "What comes out goes to who asks for it, and to nobody else.")
        if kind == "audit" and set(definition["requesters"]) & set(definition["parties"]):
            raise _invalid("requesters", "Whose rows are counted does not open the counts: it could subtract its own.")
        if kind == "audit" and definition["minimum_cell"] > LARGEST_AUDIT_CELL:
            raise _invalid("minimum_cell", f"It is at most {LARGEST_AUDIT_CELL}.")
        if kind == "audit" and definition["minimum_cell"] < SMALLEST_AUDIT_CELL:
            raise _invalid("minimum_cell", f"An audit opens no figure about fewer than {SMALLEST_AUDIT_CELL} people.")
        return
    if definition["target"] == "none":
        raise _invalid("target", "An explanation is in log-odds or in probability.")
    if not definition["design"]:
        raise _invalid("design", "An explanation has a design of perturbations.")
    if not (definition["impossible"] and 0 <= float(definition["impossible"]) <= 1):
        raise _invalid("impossible", "The share of impossible records that is allowed is a decimal from 0 to 1.")
    if definition["seed"] != "fixed":
        raise _invalid("seed", "The seed of a design that is named by its digest is fixed.")
    if set(definition["recipients"]) != set(definition["requesters"]):
        raise _invalid("recipients", "Who asks for an explanation opens it, and nobody else.")
    if not set(definition["result_jurisdictions"]) <= set(definition["jurisdictions"]):
        raise _invalid("result_jurisdictions", "An explanation travels as shares, so where it goes stands there too.")


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
    needed = definition["kind"] == "explain" and KINDS[manifest["kind"]].told_by_one_explanation
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
