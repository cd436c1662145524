"""The model owner's side: weights are split and sealed here, and only shares leave this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concordat import definition as definitions
from concordat import model_file
from concordat.canaries import Canary, invent, seal_sheet, sign_sheet
from concordat.canonical import Json, digest
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.commitments import Share
from concordat.design import Plan
from concordat.fields import plain
from concordat.files import write_private
from concordat.kinds.kind import UNCLAMPED, Scale, Tensors
from concordat.model import Manifest, check_manifest, prove, publish
from concordat.schema import FeatureSchema

CANARIES = 8
"""How many are sealed to a requester, of which each request takes some. Each gives away as much of the model as an
explanation does."""


@dataclass(frozen=True)
class PublishedModel:
    """A model version as it was handed in: its name everywhere else, and its manifest."""

    digest: str
    manifest: Manifest


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
) -> PublishedModel:
    """Split a model between `parties`, seal each share to its party's pinned key, and hand the shares in.

    The model in one piece, as it was split, stays in the owner's own folder, where it is on disk before anything is
    sent: with it a decision can be computed again (`python -m ledger.verify --replay`).

    Args:
        tensors: float64 arrays in the shapes of the kind, for the schema's columns.
        parties: in the order that definitions will name them.
        classes: the public names of several classes, in the order of the model's answers; none of two.

    Raises:
        Refused: KEY_UNKNOWN for a party not pinned; MODEL_OUT_OF_RANGE; and what :func:`concordat.model.publish`
            refuses.
    """
    features = FeatureSchema.from_json(schema)
    largest = prove(kind, tensors, features)
    shares: dict[str, Share] = {}
    token, sealed = publish(
        model=model,
        version=version,
        owner=home.institution,
        kind=kind,
        schema=digest(schema),
        columns=len(features.columns),
        tensors=tensors,
        party_keys={party: home.pins.sealing(party) for party in parties},
        key=home.keys.identity,
        clamped=largest > UNCLAMPED,
        classes=classes,
        keep=shares.update,
    )
    manifest = check_manifest(token, home.pins.keyring)
    name = digest(plain(manifest))
    home.models.mkdir(mode=0o700, exist_ok=True)
    write_private(
        home.models / f"{name.removeprefix('sha256:')}.json", model_file.write(manifest, shares), replace=True
    )
    api.import_model(token, sealed)
    return PublishedModel(name, manifest)


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
        public = home.pins.sealing(requester)
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


def disclose_weights(home: ClientHome, api: Api, *, model: str, study: str) -> str:
    """Accept, as the model's owner, that explanations in this study tell requesters the weights. Answers the JWS."""
    token = definitions.sign_disclosure(model=model, study=study, key=home.keys.identity)
    api.disclose_model(model, token)
    return token
