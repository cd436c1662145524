"""Computation definitions, and the institutions' votes on them."""

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.openapi import DIGEST, SLUG
from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, among, body, listed, one, paged, short_name
from api.views.models import RecallAnswer, told
from compute.models import ModelVersion
from compute.services.canaries import current as current_canaries
from concordat import canonical, clock
from concordat.definition import Kind
from concordat.fields import Digest, read
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.models import Definition, Institution
from governance.services import definitions
from ledger.selectors import document
from ledger.services.anchoring import registry_nonce


class Registration(Shape):
    definition = serializers.JSONField(help_text="The definition document; its digest is its name.")
    schema = serializers.JSONField(help_text="The feature schema that it names.")
    design = serializers.JSONField(
        allow_null=True, help_text="The design of perturbations that it names; null for a kind without one."
    )


class SignedVote(Shape):
    definition = serializers.CharField(help_text="Digest of the definition.")
    approve = serializers.BooleanField(help_text="True approves, false revokes.")
    institution = serializers.CharField(help_text="Short name of the institution that votes.")
    address = serializers.CharField(help_text="The institution's address on the chain (0x and 40 hexadecimal digits).")
    nonce = serializers.IntegerField(
        help_text="The number of the institution's vote, from 0: `next_nonce` of the answer with the votes."
    )
    deadline = serializers.IntegerField(help_text="Unix time in seconds.")
    signature = serializers.CharField(help_text="EIP-712.")


class DefinitionAnswer(Registration):
    digest = serializers.CharField(help_text="Digest of the definition's canonical form: its name.")
    protocol = serializers.JSONField(help_text="The protocol that it names.")
    manifest = serializers.CharField(help_text="The model's manifest (JWS).")
    disclosure = serializers.CharField(help_text="The owner's disclosure statement (JWS), or empty.")
    recall = RecallAnswer(allow_null=True, help_text="Null while the model's owner has not recalled it.")
    canaries = serializers.CharField(
        help_text="Canaries that the model's owner sealed to the calling institution; empty if there are none."
    )
    state = serializers.CharField(help_text="registered, approved (by votes that the chain holds) or revoked.")
    votes = SignedVote(many=True, help_text="The institutions' signed votes, in the order of their coming.")


class VotesAnswer(Shape):
    votes = SignedVote(many=True, help_text="The institutions' signed votes, in the order of their coming.")
    on_chain = serializers.ListField(
        child=serializers.CharField(), help_text="The institutions whose last vote is an approval, seen in a block."
    )
    next_nonce = serializers.IntegerField(help_text="What the calling institution's next vote must carry.")


class DefinitionSummaryAnswer(Shape):
    digest = serializers.CharField(help_text="Digest of the definition's canonical form: its name.")
    study = serializers.CharField(help_text="Short name of the study.")
    kind = serializers.CharField(help_text="explain, train or audit.")
    model = serializers.CharField(help_text="Digest of the model's manifest.")
    owner = serializers.CharField(help_text="The model's owner.")
    state = serializers.CharField(help_text="registered, approved (by votes that the chain holds) or revoked.")
    valid_until = serializers.CharField(help_text="Until when it may be computed (RFC 3339, UTC).")
    registered = serializers.CharField(help_text="When it was registered (RFC 3339, UTC).")


KINDS = get_args(Kind)
FILTERS = {
    "study": lambda value: Q(study__slug=short_name(value)),
    "kind": lambda value: Q(content__kind=among(value, KINDS)),
    "model": lambda value: Q(content__model=read(value, Digest)),
}
FILTERED = [
    OpenApiParameter("study", SLUG, description="Only those of the study of this short name."),
    OpenApiParameter("kind", str, enum=KINDS, description="Only those that compute this."),
    OpenApiParameter("model", DIGEST, description="Only those for the model with this digest."),
]


class Definitions(Resource):
    """Registering a definition opens it to votes; it authorises nothing by itself."""

    scopes: ClassVar = {"GET": Scope.DEFINITIONS_READ, "POST": Scope.DEFINITIONS_WRITE}

    @extend_schema(
        operation_id="definitions_list", parameters=[AFTER, *FILTERED], responses=paged(DefinitionSummaryAnswer)
    )
    def get(self, request: Request) -> Response:
        """The definitions in which the institution has a say, and those of studies that concern it."""
        rows = selectors.with_votes(selectors.visible_definitions(self.caller))
        return Response(listed(request, rows, _summary, key="digest", filters=FILTERS))

    @extend_schema(request=Registration, responses={201: DefinitionAnswer})
    def post(self, request: Request) -> Response:
        given = body(request, Registration)
        registered = definitions.register(
            institution=self.caller, content=given["definition"], schema=given["schema"], design=given["design"]
        )
        return Response(_shown(selectors.definition(registered.digest), self.caller), status=status.HTTP_201_CREATED)


class OneDefinition(Resource):
    """A definition with all that its digests name. Recompute the digests: they are what was voted on."""

    scopes: ClassVar = {"GET": Scope.DEFINITIONS_READ}

    @extend_schema(responses=DefinitionAnswer)
    def get(self, request: Request, definition: str) -> Response:
        return Response(_shown(_visible(self.caller, definition), self.caller))


class Votes(Resource):
    """The votes on a definition, in the order of their coming."""

    scopes: ClassVar = {"GET": Scope.DEFINITIONS_READ, "POST": Scope.DEFINITIONS_VOTE}

    @extend_schema(responses=VotesAnswer)
    def get(self, request: Request, definition: str) -> Response:
        found = _visible(self.caller, definition)
        answer = self._answer(found)
        on_chain = registry_nonce(self._address())  # votes may go to the registry by other ways as well
        return Response(answer | {"next_nonce": max(answer["next_nonce"], on_chain)})

    @extend_schema(request=SignedVote, responses={201: VotesAnswer})
    def post(self, request: Request, definition: str) -> Response:
        """Hand in the institution's own vote; it is relayed to the chain. A revocation takes effect at once."""
        vote = body(request, SignedVote)
        if vote["institution"] != self.caller.slug:
            raise Refused(Reason.WRONG_INSTITUTION, field="institution")
        if vote["definition"] != _visible(self.caller, definition).digest:
            raise Refused(Reason.DIGEST_MISMATCH, field="definition")
        definitions.relay_vote(vote=vote)
        return Response(self._answer(selectors.definition(definition)), status=status.HTTP_201_CREATED)

    def _answer(self, definition: Definition) -> dict[str, Any]:
        return {
            "votes": [vote.document for vote in definition.votes.all()],
            "on_chain": sorted(selectors.approving(definition)),
            "next_nonce": selectors.next_nonce(self._address()),
        }

    def _address(self) -> str:
        return selectors.chain_addresses([self.caller.slug])[self.caller.slug]


def _visible(institution: Institution, digest: str) -> Definition:
    """A definition in which the institution has a say, or of a study that concerns it."""
    return one(selectors.with_votes(selectors.visible_definitions(institution)), digest=digest)


def _summary(definition: Definition) -> dict[str, Any]:
    return {
        "digest": definition.digest,
        "study": definition.study.slug,
        "kind": definition.content["kind"],
        "model": definition.content["model"],
        "owner": definition.owner.slug,
        "state": selectors.definition_state(definition),
        "valid_until": clock.rfc3339(definition.valid_until),
        "registered": clock.rfc3339(definition.registered),
    }


def _shown(definition: Definition, caller: Institution) -> dict[str, Any]:
    content: Mapping[str, Any] = definition.content
    canaries = current_canaries(content["model"], content["design"], content["target"], caller)
    statement = definition.study.disclosures.filter(model=content["model"]).first()
    return {
        "digest": definition.digest,
        "definition": content,
        "protocol": selectors.protocol_of(definition).content,
        "schema": canonical.decode(document(content["schema"])),
        "design": canonical.decode(document(content["design"])) if content["design"] else None,
        "manifest": ModelVersion.objects.get(digest=content["model"]).manifest,
        "disclosure": statement.statement if statement else "",
        "recall": told(recall.statement if (recall := selectors.recall(content["model"])) else None),
        "canaries": canaries.sealed if canaries else "",
        "state": selectors.definition_state(definition),
        "votes": [vote.document for vote in definition.votes.all()],
    }
