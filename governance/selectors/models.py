"""Models as their owners speak of them: manifests, cards and recalls."""

from django.db.models import Q, QuerySet

from concordat.events import Event
from concordat.model import Manifest, check_manifest
from concordat.reasons import Reason, Refused
from concordat.signatures import peek
from governance.models import (
    Definition,
    Institution,
    ModelCard,
    ModelRecall,
)
from governance.selectors.definitions import voters
from governance.selectors.keys import lasting_keyring
from ledger.models import LogEntry
from ledger.selectors import document, entries


def imported(model: str) -> LogEntry:
    """The log's entry of the import of the model of this digest. Raises Refused(MODEL_UNKNOWN)."""
    entry = entries(event=Event.MODEL_IMPORTED, model=model).first()
    if entry is None:
        raise Refused(Reason.MODEL_UNKNOWN, field="model")
    return entry


def manifest(model: str) -> Manifest:
    """The verified manifest of an imported model. Raises Refused(MODEL_UNKNOWN)."""
    return check_manifest(document(imported(model).documents["manifest"]).decode(), lasting_keyring())


def card(model: str) -> ModelCard | None:
    """The card in force of the model of this digest, if there is one: the newest whose key is still believed. Whoever
    reads a card by the owner's pinned keys believes no other, so a compromise ends it until the owner signs anew."""
    believed = {key for keys in lasting_keyring().values() for key in keys}
    cards = ModelCard.objects.select_related("owner").filter(model=model)
    return next((each for each in cards if peek(each.statement)[0]["kid"] in believed), None)


def last_card(model: str) -> int:
    """The number of the last card that was taken, believed or not; 0 without one."""
    newest = ModelCard.objects.filter(model=model).first()
    return newest.sequence if newest else 0


def recall(model: str) -> ModelRecall | None:
    """The recall of the model of this digest, if its owner has recalled it."""
    return ModelRecall.objects.select_related("owner").filter(model=model).first()


def check_not_recalled(model: str) -> None:
    """Raises Refused(MODEL_RECALLED), with the owner's reason and class."""
    found = recall(model)
    if found is not None:
        raise Refused(Reason.MODEL_RECALLED, detail=found.sentence, field="model")


def told_of_recall(model: str) -> QuerySet[Institution]:
    """Whom the recall of a model concerns: its owner, whoever has a say in a definition of it, such as those who may
    request under one, and whoever takes part in the study of one."""
    slugs: set[str] = set()
    studies: set[int] = set()
    for each in Definition.objects.filter(content__model=model).select_related("owner"):
        slugs |= voters(each)
        studies.add(each.study_id)
    in_studies = Q(studies__in=studies) | Q(reviews__submission__study__in=studies)
    return Institution.objects.filter(Q(recalls__model=model) | Q(slug__in=slugs) | in_studies).distinct()
