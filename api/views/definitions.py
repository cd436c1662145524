"""Computation definitions, and the institutions' votes on them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import Resource, Shape, body
from compute.models import ModelVersion
from compute.services.canaries import current as current_canaries
from concordat import canonical
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
    definition = serializers.CharField()
    approve = serializers.BooleanField()
    institution = serializers.CharField()
    address = serializers.CharField()
    nonce = serializers.IntegerField()
    deadline = serializers.IntegerField(help_text="Unix time in seconds.")
    signature = serializers.CharField(help_text="EIP-712.")


class DefinitionAnswer(Registration):
    digest = serializers.CharField()
    protocol = serializers.JSONField(help_text="The protocol that it names.")
    manifest = serializers.CharField(help_text="The model's manifest (JWS).")
    disclosure = serializers.CharField(help_text="The owner's disclosure statement (JWS), or empty.")
    canaries = serializers.CharField(
        help_text="Canaries that the model's owner sealed to the calling institution; empty if there are none."
    )
    state = serializers.CharField(help_text="registered, approved (by votes that the chain holds) or revoked.")
    votes = SignedVote(many=True)


class VotesAnswer(Shape):
    votes = SignedVote(many=True)
    on_chain = serializers.ListField(
        child=serializers.CharField(), help_text="The institutions whose last vote is an approval, seen in a block."
    )
    next_nonce = serializers.IntegerField(help_text="What the calling institution's next vote must carry.")


class Definitions(Resource):
    """Registering a definition opens it to votes; it authorises nothing by itself."""

    scopes: ClassVar = {"POST": Scope.DEFINITIONS_WRITE}

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
    try:
        definition = selectors.definition(digest)
    except Refused:
        raise Refused(Reason.NOT_FOUND) from None
    has_a_say = institution.slug in selectors.voters(definition)
    if not has_a_say and not selectors.visible_studies([institution]).filter(pk=definition.study_id).exists():
        raise Refused(Reason.NOT_FOUND)
    return definition


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
        "canaries": canaries.sealed if canaries else "",
        "state": selectors.definition_state(definition),
        "votes": [vote.document for vote in definition.votes.all()],
    }
