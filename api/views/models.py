"""Models: the owner's manifest in the open, the weights as sealed shares that only their parties can open."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, body, listed, one, paged
from compute.models import ModelVersion
from compute.services.canaries import seal_canaries
from compute.services.models import import_model
from concordat import clock
from concordat.reasons import Reason, Refused
from concordat.signatures import peek
from governance.services.definitions import disclose


class ModelImport(Shape):
    manifest = serializers.CharField(help_text="The signed manifest (JWS).")
    sealed = serializers.DictField(child=serializers.CharField(), help_text="For each party its sealed share.")


class DisclosureStatement(Shape):
    disclosure = serializers.CharField(help_text="The owner's signed statement (JWS).")


class SealedCanaries(Shape):
    design = serializers.CharField(help_text="Digest of the design of perturbations.")
    target = serializers.CharField(help_text="log-odds or probability.")
    sealed = serializers.DictField(child=serializers.CharField(), help_text="For each requester its sealed canaries.")


class CanariesAnswer(Shape):
    model = serializers.CharField()
    requesters = serializers.ListField(child=serializers.CharField())


class ModelAnswer(Shape):
    model = serializers.CharField(help_text="Digest of the manifest.")
    name = serializers.CharField()
    version = serializers.CharField()
    owner = serializers.CharField()
    kind = serializers.CharField()
    manifest = serializers.CharField()
    imported = serializers.CharField()


class DisclosureAnswer(Shape):
    model = serializers.CharField()
    study = serializers.CharField()


class Models(Resource):
    """Models are secret-shared by their owner before they come here."""

    scopes: ClassVar = {"GET": Scope.MODELS_READ, "POST": Scope.MODELS_WRITE}

    @extend_schema(operation_id="models_list", parameters=[AFTER], responses=paged(ModelAnswer))
    def get(self, request: Request) -> Response:
        return Response(listed(request, ModelVersion.objects.select_related("owner"), _shown, key="digest"))

    @extend_schema(request=ModelImport, responses={201: ModelAnswer})
    def post(self, request: Request) -> Response:
        model = import_model(**body(request, ModelImport), by=self.caller)
        return Response(_shown(model), status=status.HTTP_201_CREATED)


class OneModel(Resource):
    """A model version's manifest. Nobody but its party can read a share, so none is shown."""

    scopes: ClassVar = {"GET": Scope.MODELS_READ}

    @extend_schema(responses=ModelAnswer)
    def get(self, request: Request, model: str) -> Response:
        return Response(_shown(one(ModelVersion.objects.select_related("owner"), digest=model)))


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


class Canaries(Resource):
    """Records with known results, sealed by the model's owner to requesters, who mix them in with their own."""

    scopes: ClassVar = {"POST": Scope.MODELS_WRITE}

    @extend_schema(request=SealedCanaries, responses={201: CanariesAnswer})
    def post(self, request: Request, model: str) -> Response:
        own = one(ModelVersion.objects.filter(owner=self.caller), digest=model)
        sheets = seal_canaries(model=own, by=self.caller, **body(request, SealedCanaries))
        requesters = sorted(sheet.requester.slug for sheet in sheets)
        return Response({"model": own.digest, "requesters": requesters}, status=status.HTTP_201_CREATED)


def _shown(model: ModelVersion) -> dict[str, Any]:
    return {
        "model": model.digest,
        "name": model.name,
        "version": model.version,
        "owner": model.owner.slug,
        "kind": model.kind,
        "manifest": model.manifest,
        "imported": clock.rfc3339(model.imported),
    }
