"""Models: the owner's manifest in the open, the weights as sealed shares that only their parties can open."""

from typing import Any, ClassVar

from django.db.models import OuterRef, Q, QuerySet, Subquery
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.openapi import SLUG
from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, body, listed, one, paged, short_name
from compute.models import ModelVersion
from compute.services.canaries import seal_canaries
from compute.services.models import import_model
from concordat import clock
from concordat.reasons import Reason, Refused
from concordat.recall import WHY, peek_recall
from concordat.signatures import peek
from governance import selectors
from governance.models import ModelCard, ModelRecall
from governance.services.definitions import disclose
from governance.services.model_cards import describe
from governance.services.recalls import recall


class ModelImport(Shape):
    manifest = serializers.CharField(help_text="The signed manifest (JWS).")
    sealed = serializers.DictField(child=serializers.CharField(), help_text="For each party its sealed share.")


class DisclosureStatement(Shape):
    disclosure = serializers.CharField(help_text="The owner's signed statement (JWS).")


class SealedCanaries(Shape):
    design = serializers.CharField(help_text="Digest of the design of perturbations.")
    target = serializers.CharField(help_text="log-odds or probability.")
    sealed = serializers.DictField(child=serializers.CharField(), help_text="For each requester its sealed canaries.")


class CardStatement(Shape):
    card = serializers.CharField(help_text="The owner's signed model card (JWS).")


class CardAnswer(Shape):
    model = serializers.CharField(help_text="Digest of the model's manifest.")
    sequence = serializers.IntegerField(help_text="The card's number; 0 while none is in force.")
    last = serializers.IntegerField(help_text="The number of the last card taken, in force or not; the next is higher.")
    statement = serializers.CharField(help_text="The card as the owner signed it (JWS); empty without one.")
    received = serializers.CharField(help_text="Empty without one.")


class RecallStatement(Shape):
    recall = serializers.CharField(help_text="The owner's signed recall (JWS).")


class RecallAnswer(Shape):
    statement = serializers.CharField(help_text="The recall as the owner signed it (JWS).")
    reason = serializers.CharField(help_text="A code: " + ", ".join(WHY) + ".")
    classification = serializers.CharField(help_text="How grave it is: I, II or III (21 CFR 7.3(m)).")
    advice = serializers.CharField(help_text="What users have to do, in the owner's words.")
    time = serializers.CharField(help_text="When the owner recalled it, as the recall says (RFC 3339, UTC).")


class CanariesAnswer(Shape):
    model = serializers.CharField(help_text="Digest of the model's manifest.")
    requesters = serializers.ListField(
        child=serializers.CharField(), help_text="Short names of the institutions that they are sealed to."
    )


class ModelAnswer(Shape):
    model = serializers.CharField(help_text="Digest of the manifest.")
    name = serializers.CharField(help_text="The model's short name.")
    version = serializers.CharField(help_text="The version, as its owner calls it.")
    owner = serializers.CharField(help_text="Short name of the institution whose it is.")
    kind = serializers.CharField(help_text="The kind of model, which says how it computes.")
    manifest = serializers.CharField(help_text="The signed manifest (JWS).")
    imported = serializers.CharField(help_text="When it was imported (RFC 3339, UTC).")
    card = serializers.IntegerField(help_text="The number of its owner's last card, in force or not; 0 without one.")
    recall = RecallAnswer(allow_null=True, help_text="Null while its owner has not recalled it.")


class DisclosureAnswer(Shape):
    model = serializers.CharField(help_text="Digest of the model's manifest.")
    study = serializers.CharField(help_text="Short name of the study in which it holds.")


FILTERS = {
    "owner": lambda value: Q(owner__slug=short_name(value)),
    "name": lambda value: Q(name=short_name(value)),
}
FILTERED = [
    OpenApiParameter("owner", SLUG, description="Only those of the institution of this short name."),
    OpenApiParameter("name", str, description="Only the versions of the model of this name."),
]


class Models(Resource):
    """Models are secret-shared by their owner before they come here."""

    scopes: ClassVar = {"GET": Scope.MODELS_READ, "POST": Scope.MODELS_WRITE}

    @extend_schema(operation_id="models_list", parameters=[AFTER, *FILTERED], responses=paged(ModelAnswer))
    def get(self, request: Request) -> Response:
        return Response(listed(request, _models(), _shown, key="digest", filters=FILTERS))

    @extend_schema(request=ModelImport, responses={201: ModelAnswer})
    def post(self, request: Request) -> Response:
        model = import_model(**body(request, ModelImport), by=self.caller)
        return Response(_shown(one(_models(), digest=model.digest)), status=status.HTTP_201_CREATED)


class OneModel(Resource):
    """A model version's manifest. Nobody but its party can read a share, so none is shown."""

    scopes: ClassVar = {"GET": Scope.MODELS_READ}

    @extend_schema(responses=ModelAnswer)
    def get(self, request: Request, model: str) -> Response:
        return Response(_shown(one(_models(), digest=model)))


class Disclosure(Resource):
    """The owner accepts that explanations in one study tell requesters the model's weights."""

    scopes: ClassVar = {"POST": Scope.MODELS_WRITE}

    @extend_schema(request=DisclosureStatement, responses={201: DisclosureAnswer})
    def post(self, request: Request, model: str) -> Response:
        one(ModelVersion.objects.filter(owner=self.caller), digest=model)
        token = body(request, DisclosureStatement)["disclosure"]
        if peek(token)[1].get("model") != model:
            raise Refused(Reason.DIGEST_MISMATCH, detail="The statement is about another model.", field="disclosure")
        kept = disclose(token=token)
        return Response({"model": kept.model, "study": kept.study.slug}, status=status.HTTP_201_CREATED)


class Card(Resource):
    """What the owner states of the model, in plain words (45 CFR 170.315(b)(11)(iv)(B)): its newest card counts."""

    http_method_names = ("get", "put")
    scopes: ClassVar = {"GET": Scope.MODELS_READ, "PUT": Scope.MODELS_WRITE}

    @extend_schema(responses=CardAnswer)
    def get(self, request: Request, model: str) -> Response:
        """The card in force, or that there is none: the newest, unless its key was declared compromised since."""
        one(ModelVersion.objects.all(), digest=model)
        return Response(_card(model, selectors.card(model)))

    @extend_schema(request=CardStatement, responses={200: CardAnswer})
    def put(self, request: Request, model: str) -> Response:
        """Put a card with a higher number in its place. A card that was handed in before changes nothing: the answer is
        the one in force."""
        one(ModelVersion.objects.filter(owner=self.caller), digest=model)
        token = body(request, CardStatement)["card"]
        if peek(token)[1].get("model") != model:
            raise Refused(Reason.DIGEST_MISMATCH, detail="The card is of another model.", field="card")
        return Response(_card(model, describe(institution=self.caller, token=token)))


class Recall(Resource):
    """The owner recalls the model, for good: nothing is computed or released with it any more, and whom it concerns is
    told."""

    scopes: ClassVar = {"POST": Scope.MODELS_WRITE}

    @extend_schema(request=RecallStatement, responses={201: ModelAnswer})
    def post(self, request: Request, model: str) -> Response:
        one(ModelVersion.objects.filter(owner=self.caller), digest=model)
        token = body(request, RecallStatement)["recall"]
        if peek(token)[1].get("model") != model:
            raise Refused(Reason.DIGEST_MISMATCH, detail="The statement is about another model.", field="recall")
        recall(institution=self.caller, token=token)
        return Response(_shown(one(_models(), digest=model)), status=status.HTTP_201_CREATED)


class Canaries(Resource):
    """Records with known results, sealed by the model's owner to requesters, who mix them in with their own."""

    scopes: ClassVar = {"POST": Scope.MODELS_WRITE}

    @extend_schema(request=SealedCanaries, responses={201: CanariesAnswer})
    def post(self, request: Request, model: str) -> Response:
        own = one(ModelVersion.objects.filter(owner=self.caller), digest=model)
        sheets = seal_canaries(model=own, by=self.caller, **body(request, SealedCanaries))
        requesters = sorted(sheet.requester.slug for sheet in sheets)
        return Response({"model": own.digest, "requesters": requesters}, status=status.HTTP_201_CREATED)


def told(statement: str | None) -> dict[str, Any] | None:
    """What is shown of a recall (JWS); None without one."""
    if statement is None:
        return None
    said = peek_recall(statement)
    return {
        "statement": statement,
        "reason": said["reason"],
        "classification": said["classification"],
        "advice": said["advice"],
        "time": said["time"],
    }


def _models() -> QuerySet[ModelVersion]:
    """Models with their owner, the number of the last card or None as `card`, and the recall (JWS) or None as
    `recall`."""
    cards = ModelCard.objects.filter(model=OuterRef("digest")).values("sequence")
    recalls = ModelRecall.objects.filter(model=OuterRef("digest")).values("statement")
    found = ModelVersion.objects.select_related("owner")
    return found.annotate(card=Subquery(cards[:1]), recall=Subquery(recalls))


def _card(model: str, card: ModelCard | None) -> dict[str, Any]:
    if card is None:
        content = {"sequence": 0, "statement": "", "received": ""}
    else:
        received = clock.rfc3339(card.received)
        content = {"sequence": card.sequence, "statement": card.statement, "received": received}
    return {"model": model, "last": selectors.last_card(model), **content}


def _shown(model: ModelVersion) -> dict[str, Any]:
    return {
        "model": model.digest,
        "name": model.name,
        "version": model.version,
        "owner": model.owner.slug,
        "kind": model.kind,
        "manifest": model.manifest,
        "imported": clock.rfc3339(model.imported),
        "card": model.card or 0,  # type: ignore[attr-defined]
        "recall": told(model.recall),  # type: ignore[attr-defined]
    }
