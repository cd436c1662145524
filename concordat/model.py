"""Models: what their owner publishes about one, and how its weights are split into shares.

The signed manifest says everything that may be known of a model: kind, shapes, commitments. The weights themselves
exist in one piece at their owner only. A kind (`concordat.kinds`) answers in log-odds, of which engine or requester
makes the probability, or with a probability.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
from pydantic import AfterValidator, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from concordat import ring, sealing
from concordat.canonical import Json, digest, unb64
from concordat.clock import now, rfc3339
from concordat.commitments import MODEL_SHARE, SALT_BYTES, Share, commit, new_salt, open_commitment, opening
from concordat.documents import Keyring, sign, verify_from
from concordat.fields import STRICT, Digest, Slug, Text, Time, Uuid, plain
from concordat.kinds import KINDS as KINDS
from concordat.kinds.kind import Floats, Shapes, Tensors
from concordat.reasons import Reason, Refused
from concordat.ring import Ring
from concordat.schema import FeatureSchema
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise PydanticCustomError("kind", "the kinds of models are: " + ", ".join(KINDS))
    return kind


LONGEST_NAME = 60
"""Of a class, in characters."""

KindName = Annotated[str, AfterValidator(_known_kind)]


@with_config(STRICT)
class TensorShape(TypedDict):
    """A tensor's name and its shape; a scalar has the empty shape."""

    name: Text
    shape: list[int]


@with_config(STRICT)
class Manifest(TypedDict):
    """The signed "model" document. Its digest is the model's name everywhere else.

    `clamped`: whether log-odds have to be clamped to ±`UNCLAMPED` before probabilities are made of them. It is false
    where the owner has proven that none go further, which is all that it tells of the weights. `classes` are the names
    of several classes, one for each answer of the model, in their order; of two there are none. `trained` is the job in
    which the parties made the weights, which nobody knows; its shares are sealed by the parties, each to itself.
    """

    model: Slug
    version: Text
    owner: Slug
    kind: KindName
    classes: list[Text]
    tensors: list[TensorShape]
    parameters: int
    bits: Literal[16]
    clamped: bool
    schema: Digest
    parties: list[Slug]
    commitments: dict[Slug, Digest]
    sealing_keys: dict[Slug, Text]
    issued: Time
    trained: NotRequired[Uuid]


def forward(kind: str, tensors: Tensors, X: Floats) -> Floats:
    """Outputs (n,) on the kind's scale, or (n, K) of several classes, for encoded records X (n, columns), in plaintext;
    the engine's own forward pass is on shares."""
    return KINDS[kind].forward(tensors, X)


def shapes_of(kind: str, given: Mapping[str, tuple[int, ...]], columns: int) -> Shapes:
    """Names and shapes of all tensors of a kind, with the free sizes of the `given` ones if they have any."""
    try:
        sizes = KINDS[kind].sizes(given)
    except (LookupError, ValueError):
        sizes = (0,)
    return KINDS[kind].shapes(columns, sizes) if min(sizes, default=1) > 0 else KINDS[kind].shapes(columns)


def prove(kind: str, tensors: Tensors, schema: FeatureSchema) -> float:
    """Check that whatever record the schema allows, or a design makes of it, the model's numbers fit the arithmetic.
    Answers the most that an output can be in size.

    Interval bounds, computed once by the owner, who alone has the weights; nodes rely on the owner for it, and on the
    check of each record's ranges that they make themselves. They hold for designs of every method: none reaches
    further than `FeatureSchema.reach`.

    Raises:
        Refused: MODEL_OUT_OF_RANGE.
    """
    return KINDS[kind].prove(tensors, *schema.reach)


def parameters(shapes: Shapes) -> int:
    """How many numbers the model consists of."""
    return sum(math.prod(shape) for _, shape in shapes)


def publish(
    *,
    model: str,
    version: str,
    owner: str,
    kind: str,
    schema: str,
    columns: int,
    tensors: Tensors,
    party_keys: Mapping[str, str],
    key: SigningKey,
    clamped: bool = True,
    classes: Sequence[str] = (),
    keep: Callable[[dict[str, Share]], object] = lambda shares: None,
) -> tuple[str, dict[str, str]]:
    """Split a model into shares, one for each party.

    Args:
        schema: digest of the feature schema, whose number of columns is `columns`.
        tensors: float64 arrays of exactly the shapes of the kind.
        party_keys: public sealing keys by party, in the order of the parties.
        keep: is given the opening of every share, which together are the model: for its owner (`model_file`).
        clamped: see `Manifest`; right for every model, and needless where `prove` answers no more than `UNCLAMPED`.
        classes: their names, where the kind tells several apart.

    Returns:
        The signed manifest, and for each party its sealed share (salt, then the tensors as int64 little-endian).

    Raises:
        Refused: FIELD_INVALID naming a tensor of the wrong shape, or `classes` that do not fit the model;
            VALUE_OUT_OF_RANGE for weights beyond fixed point.
    """
    shapes = shapes_of(kind, {name: np.shape(tensor) for name, tensor in tensors.items()}, columns)
    _check_classes(kind, shapes, classes)
    flat = _flatten(tensors, shapes, kind)
    salts = {party: new_salt() for party in party_keys}
    shares = dict(zip(party_keys, map(ring.to_bytes, ring.split(flat, len(party_keys))), strict=True))
    manifest: dict[str, Json] = {
        "model": model,
        "version": version,
        "owner": owner,
        "kind": kind,
        "classes": list(classes),
        "tensors": [{"name": name, "shape": list(shape)} for name, shape in shapes],
        "parameters": parameters(shapes),
        "bits": ring.BITS,
        "clamped": clamped,
        "schema": schema,
        "parties": list(party_keys),
        "commitments": {
            party: commit(MODEL_SHARE, salts[party], model, version, party, shares[party]) for party in party_keys
        },
        "sealing_keys": {party: sealing.sealing_key_id(public) for party, public in party_keys.items()},
        "issued": rfc3339(now()),
    }
    token = sign(manifest, Manifest, kind="model", key=key)
    sealed = {
        party: sealing.seal(public, salts[party] + shares[party], context=_context(manifest, party))
        for party, public in party_keys.items()
    }
    keep({party: opening(salts[party], shares[party]) for party in party_keys})
    return token, sealed


def seal_trained(share: bytes, *, job: str, party: str, model: str, version: str, public: str) -> tuple[str, str]:
    """A party's commitment to its share of weights that were made in a training, for its receipt, and the share sealed
    to the party itself (`public` is its own sealing key)."""
    salt = new_salt()
    sealed = sealing.seal(public, salt + share, context=_trained_context(job, party))
    return commit(MODEL_SHARE, salt, model, version, party, share), sealed


def publish_trained(
    start: Manifest,
    *,
    job: str,
    model: str,
    version: str,
    commitments: Mapping[str, str],
    party_keys: Mapping[str, str],
    key: SigningKey,
) -> str:
    """The manifest (JWS) of a model that was trained from another one: the same but for its name and its weights.

    Args:
        start: the manifest of the model that the training started from.
        commitments: by party, from its receipt.
        party_keys: public sealing keys by party, to which the parties have sealed their shares.
    """
    manifest: dict[str, Json] = {
        **plain(start),
        "model": model,
        "version": version,
        "clamped": True,
        "commitments": dict(commitments),
        "sealing_keys": {party: sealing.sealing_key_id(party_keys[party]) for party in start["parties"]},
        "issued": rfc3339(now()),
        "trained": job,
    }
    return sign(manifest, Manifest, kind="model", key=key)


def check_manifest(token: str, keyring: Keyring) -> Manifest:
    """The manifest in a JWS signed by the model's owner.

    Raises:
        Refused: KEY_UNKNOWN, SIGNATURE_INVALID, or FIELD_INVALID if shapes, classes, count and parties do not fit
            together.
    """
    manifest = verify_from(token, Manifest, kind="model", signer="owner", keyring=keyring)
    shapes = [(tensor["name"], tuple(tensor["shape"])) for tensor in manifest["tensors"]]
    columns = shapes[0][1][-1] if shapes and shapes[0][1] else 0
    if columns < 1 or shapes != shapes_of(manifest["kind"], dict(shapes), columns):
        raise Refused(Reason.FIELD_INVALID, detail="These are not the tensors of this kind.", field="tensors")
    _check_classes(manifest["kind"], shapes, manifest["classes"])
    if manifest["parameters"] != parameters(shapes):
        raise Refused(Reason.FIELD_INVALID, detail="The number of parameters is another.", field="parameters")
    parties = manifest["parties"]
    if len(parties) < 2 or len(set(parties)) != len(parties):
        raise Refused(Reason.FIELD_INVALID, detail="A model is shared between two parties or more.", field="parties")
    for field, named in (("commitments", manifest["commitments"]), ("sealing_keys", manifest["sealing_keys"])):
        if set(named) != set(parties):
            raise Refused(Reason.FIELD_INVALID, detail="There is one for each party.", field=field)
    return manifest


def answers_of(manifest: Manifest) -> int:
    """With how many numbers the model answers: one for each of several classes; of two, one."""
    return len(manifest["classes"]) or 1


def columns_of(manifest: Manifest) -> int:
    """How many input columns the model has: the last dimension of its first tensor."""
    return manifest["tensors"][0]["shape"][-1]


def open_share(sealed: str, manifest: Manifest, party: str, key: SealingKey) -> dict[str, Ring]:
    """A party's own share of the weights, by tensor name.

    Raises:
        Refused: WRONG_PARTY, SEAL_BROKEN, MALFORMED, or COMMITMENT_MISMATCH if it is not what the owner committed to.
    """
    return tensors_of(manifest, read_share(manifest, party, unseal_share(sealed, manifest, party, key)))


def unseal_share(sealed: str, manifest: Manifest, party: str, key: SealingKey) -> Share:
    """A party's own share with its salt, not yet checked. Raises Refused: WRONG_PARTY, SEAL_BROKEN."""
    if party not in manifest["parties"]:
        raise Refused(Reason.WRONG_PARTY)
    trained = manifest.get("trained")
    context = _trained_context(trained, party) if trained else _context(plain(manifest), party)
    opened = sealing.open(key, sealed, context=context)
    return opening(opened[:SALT_BYTES], opened[SALT_BYTES:])


def read_share(manifest: Manifest, party: str, opened: Share) -> bytes:
    """The weights' share. Raises Refused(COMMITMENT_MISMATCH) if it is not what the owner committed to."""
    salt, share, commitment = unb64(opened["salt"]), unb64(opened["share"]), manifest["commitments"][party]
    if not open_commitment(commitment, MODEL_SHARE, salt, manifest["model"], manifest["version"], party, share):
        raise Refused(Reason.COMMITMENT_MISMATCH)
    return share


def tensors_of(manifest: Manifest, share: bytes) -> dict[str, Ring]:
    """By tensor name. Raises Refused(MALFORMED) for another number of parameters."""
    flat = ring.from_bytes(share, (manifest["parameters"],))
    tensors, start = {}, 0
    for tensor in manifest["tensors"]:
        stop = start + math.prod(tensor["shape"])
        tensors[tensor["name"]] = flat[start:stop].reshape(tensor["shape"])
        start = stop
    return tensors


def _flatten(tensors: Mapping[str, Any], shapes: Shapes, kind: str) -> Ring:
    for name, shape in shapes:
        if name not in tensors or np.shape(tensors[name]) != shape:
            raise Refused(Reason.FIELD_INVALID, detail=f"A tensor of shape {shape} is expected.", field=name)
    unknown = sorted(set(tensors) - {name for name, _ in shapes})
    if unknown:
        raise Refused(Reason.FIELD_UNKNOWN, detail="This kind of model has no such tensor.", field=unknown[0])
    whole = KINDS[kind].whole
    return np.concatenate(
        [np.ravel(ring.encode(tensors[name], 0 if name in whole else ring.BITS)) for name, _ in shapes]
    )


def _check_classes(kind: str, shapes: Shapes, names: Sequence[str]) -> None:
    expected = KINDS[kind].answers(KINDS[kind].sizes(dict(shapes))) if KINDS[kind].several else 0
    if len(names) != expected or len(set(names)) != expected:
        detail = f"This model tells {expected} classes apart: name each once." if expected else "Two classes have none."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="classes")
    if any(not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME for name in names):
        detail = f"A class has a name of up to {LONGEST_NAME} printable characters."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="classes")


def _trained_context(job: str, party: str) -> dict[str, Json]:
    return {"label": "trained", "party": party, "job": job}


def _context(manifest: Mapping[str, Json], party: str) -> dict[str, Json]:
    return {"label": "model", "party": party, "model": digest(manifest)}
