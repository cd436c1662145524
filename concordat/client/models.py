"""The model owner's side: weights are split and sealed here, and only shares leave this machine.

models/<digest>.json            a model that we own in one piece, as it was split
models/handed-in/<digest>.json  what of it was sent, or was about to be: the signed manifest and the sealed shares
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, model_file, ring
from concordat import definition as definitions
from concordat.canaries import Canary, invent, seal_sheet, sign_sheet
from concordat.canonical import Json, digest
from concordat.client.api import Api
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.commitments import Share
from concordat.definition import scale_of
from concordat.design import Plan
from concordat.fields import STRICT, Slug, plain, read
from concordat.files import read_private, write_private
from concordat.kinds import KINDS
from concordat.kinds.kind import UNCLAMPED, Scale, Tensors
from concordat.model import Manifest, check_manifest, prove, publish
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

CANARIES = 8
"""How many are sealed to a requester, of which each request takes some. Each gives away as much of the model as an
explanation does."""


@dataclass(frozen=True)
class PublishedModel:
    """A model version as it was handed in: its name everywhere else, and its manifest."""

    digest: str
    manifest: Manifest


@with_config(STRICT)
class HandedIn(TypedDict):
    """What goes to the coordinator: the manifest (JWS), and each party's sealed share."""

    manifest: str
    sealed: dict[Slug, str]


def import_model(
    home: ClientHome,
    api: Api,
    *,
    model: str,
    version: str,
    kind: str,
    schema: Mapping[str, Json],
    tensors: Tensors,
    parties: Sequence[str],
    classes: Sequence[str] = (),
    say: Callable[[str], object] = lambda step: None,
) -> PublishedModel:
    """Split a model between `parties`, seal each share to its party's pinned key, and hand the shares in.

    The model in one piece, as it was split, stays in the owner's own folder, where it is on disk before anything is
    sent: with it a decision can be computed again (`python -m ledger.verify --replay`). So is what is sent: after a
    crash the same call sends the same bytes, and once more it answers the same model.

    Args:
        tensors: float64 arrays in the shapes of the kind, for the schema's columns.
        parties: in the order that definitions will name them.
        classes: the public names of several classes, in the order of the model's answers; none of two.
        say: is told what has been done.

    Raises:
        Refused: ROLE_MISSING, before anything is split, for an institution that may own no model; KEY_UNKNOWN for a
            party not pinned; MODEL_OUT_OF_RANGE; CONFLICT if this version was begun from here
            with other content; and what :func:`concordat.model.publish` and the coordinator refuse.
    """
    features = FeatureSchema.from_json(schema)
    api.sign_in()
    largest = prove(kind, tensors, features)
    say("no record that the schema allows leads out of the secure arithmetic")
    begun = _begun(home, model, version)
    if begun is None:
        shares: dict[str, Share] = {}
        token, sealed = publish(
            model=model,
            version=version,
            owner=home.institution,
            kind=kind,
            schema=digest(schema),
            columns=len(features.columns),
            tensors=tensors,
            party_keys={party: home.pins.sealing(party, "party") for party in parties},
            key=home.keys.identity,
            clamped=largest > UNCLAMPED,
            classes=classes,
            keep=shares.update,
        )
        begun = HandedIn(manifest=token, sealed=sealed)
        manifest = check_manifest(token, home.pins.keyring)
        _keep(home, manifest, shares, begun)
        say(f"split, and a share sealed to each of {', '.join(parties)}")
    else:
        manifest = check_manifest(begun["manifest"], home.pins.lasting_keyring)
        _check_same(home, manifest, kind, digest(schema), tensors, parties, classes)
        say("split and sealed before, with the same content: sent again as it was")
    name = digest(plain(manifest))
    try:
        api.import_model(begun["manifest"], begun["sealed"])
    except Refused as refused:
        if refused.reason is Reason.KEY_UNKNOWN:  # a party has another key now, and nothing was taken: split it anew
            (home.models / "handed-in" / _file(name)).unlink()
        raise
    return PublishedModel(name, manifest)


def whole(home: ClientHome, manifest: Manifest) -> Tensors:
    """A model of ours in one piece, to the last bit as it was split. Raises Refused(HOME_INCOMPLETE) if the folder has
    no such file, and what `model_file.load` refuses."""
    file = home.models / _file(digest(plain(manifest)))
    try:
        return model_file.load(read_private(file), manifest)[0]
    except FileNotFoundError:
        detail = f"models/{file.name} is not in this folder: the model was not imported from here."
        raise Refused(Reason.HOME_INCOMPLETE, detail=detail, field="model") from None


def _file(name: str) -> str:
    return f"{name.removeprefix('sha256:')}.json"


def _keep(home: ClientHome, manifest: Manifest, shares: Mapping[str, Share], begun: HandedIn) -> None:
    """The model first: what is sent without it could never be computed again."""
    handed_in = home.models / "handed-in"
    for folder in (home.models, handed_in):
        folder.mkdir(mode=0o700, exist_ok=True)
    file = _file(digest(plain(manifest)))
    write_private(home.models / file, model_file.write(manifest, shares), replace=True)
    write_private(handed_in / file, canonical.encode(plain(begun)), replace=True)


def _begun(home: ClientHome, model: str, version: str) -> HandedIn | None:
    """What was sent of this version, or was about to be."""
    for file in sorted((home.models / "handed-in").glob("*.json")):
        begun = read(canonical.decode(read_private(file)), HandedIn)
        manifest = check_manifest(begun["manifest"], home.pins.lasting_keyring)
        if (manifest["model"], manifest["version"]) == (model, version):
            return begun
    return None


def _check_same(
    home: ClientHome,
    manifest: Manifest,
    kind: str,
    schema: str,
    tensors: Tensors,
    parties: Sequence[str],
    classes: Sequence[str],
) -> None:
    wanted = {"kind": kind, "schema": schema, "parties": list(parties), "classes": list(classes)}
    other = [name for name, value in wanted.items() if manifest[name] != value]  # type: ignore[literal-required]
    if not other and not _alike(kind, whole(home, manifest), tensors):
        other = ["weights"]
    if other:
        detail = f"Version {manifest['version']} of {manifest['model']} was begun from here with other {other[0]}."
        raise Refused(Reason.CONFLICT, detail=detail, field="version")


def _alike(kind: str, kept: Tensors, given: Tensors) -> bool:
    """Whether both are the same numbers in fixed point."""
    bits = {name: 0 if name in KINDS[kind].whole else ring.BITS for name in kept}
    return kept.keys() == given.keys() and all(
        np.array_equal(ring.encode(kept[name], bits[name]), ring.encode(given[name], bits[name])) for name in kept
    )


def seal_canaries(
    home: ClientHome,
    api: Api,
    *,
    model: str,
    kind: str,
    tensors: Tensors,
    schema: FeatureSchema,
    design: Plan,
    target: Scale,
    requesters: Sequence[str],
    count: int = CANARIES,
) -> list[Canary]:
    """Make records up, compute their results in plaintext, seal both to each of `requesters`, and hand them in.

    Every requester gets others, so that none knows what a colleague's nodes might be tested with. Answers all of them.

    Raises:
        Refused: KEY_UNKNOWN for a requester not pinned, and what the coordinator refuses.
    """
    invented: list[Canary] = []
    sealed = {}
    for requester in requesters:
        canaries = invent(count, kind=kind, tensors=tensors, schema=schema, design=design, target=target)
        public = home.pins.sealing(requester, "requesters")
        sheet = sign_sheet(
            canaries,
            owner=home.institution,
            requester=requester,
            model=model,
            design=design.digest,
            target=target,
            key=home.keys.identity,
        )
        sealed[requester] = seal_sheet(sheet, model=model, requester=requester, public=public)
        invented += canaries
    api.seal_canaries(model, design=design.digest, target=target, sealed=sealed)
    return invented


def seal_canaries_for(home: ClientHome, api: Api, definition: CheckedDefinition) -> int:
    """Seal canaries to each requester of a definition of a model of ours, which is kept in this folder; answer how many
    each has got. Once more replaces them.

    Raises:
        Refused: WRONG_INSTITUTION for another's model; what :func:`whole` and :func:`seal_canaries` refuse.
    """
    manifest, content = definition.manifest, definition.content
    if manifest["owner"] != home.institution:
        raise Refused(Reason.WRONG_INSTITUTION, detail=f"{manifest['owner']} owns this model.", field="definition")
    seal_canaries(
        home,
        api,
        model=content["model"],
        kind=manifest["kind"],
        tensors=whole(home, manifest),
        schema=definition.schema,
        design=definition.design,
        target=scale_of(content),
        requesters=content["requesters"],
    )
    return CANARIES


def disclose_weights(home: ClientHome, api: Api, *, model: str, study: str) -> str:
    """Accept, as the model's owner, that explanations in this study tell requesters the weights. Answers the JWS."""
    token = definitions.sign_disclosure(model=model, study=study, key=home.keys.identity)
    api.disclose_model(model, token)
    return token
