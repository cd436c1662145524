"""A model's owner recalls it: nothing is computed or released with it any more, and whom it concerns is told.

The words are those of recalls of medical devices (21 CFR 7.40 to 7.59) and of field safety corrective actions (EU MDR
2017/745, Article 89): the owner evaluates the hazard, says what users have to do, and tells all of them at once. What
either law asks for beyond that, such as reports to an authority, is the owner's duty and is not done here.
"""

from django.db import transaction
from django.urls import reverse

from concordat import clock
from concordat import recall as statements
from concordat.events import Event
from concordat.fields import read
from concordat.model import Manifest
from concordat.owners_word import check_not_future, check_owner
from concordat.reasons import Reason, Refused
from concordat.recall import WHY
from concordat.signatures import peek
from governance import selectors
from governance.models import Definition, Institution, ModelRecall
from governance.models.people import Membership
from governance.notices import Notice
from governance.services import institutions, notifications
from ledger.selectors import document
from ledger.services.record import record

_Role = Membership.Role

_TOLD = (_Role.IRB_CHAIR, _Role.IRB_ADMINISTRATOR, _Role.INSTITUTION_ADMIN, _Role.INVESTIGATOR)


@transaction.atomic
def recall(*, institution: Institution, token: str) -> ModelRecall:
    """Recall a model version for good, whatever is running. The same statement again is no harm.

    It asks for no role: who owned a model when it was imported can recall it for as long as anybody could use it.

    Args:
        institution: who hands it in; it must own the model.
        token: the signed recall (JWS).

    Raises:
        Refused: what :func:`concordat.recall.read_recall` refuses; WRONG_INSTITUTION for another's statement, or about
            another's model; MODEL_UNKNOWN; FIELD_INVALID for a statement from the future; CONFLICT for another
            statement about a model that was recalled before.
    """
    statement = statements.read_recall(token, selectors.keyring())
    if statement["institution"] != institution.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The statement is another institution's.", field="institution")
    entry = selectors.imported(statement["model"])
    check_owner(statement, name="recall", model=statement["model"], owner=str(entry.public["institution"]))
    institutions.lock(institution)  # two recalls of one model queue here
    known = selectors.recall(statement["model"])
    if known is not None and known.statement == token:
        return known
    if known is not None:
        detail = f"It was recalled on {clock.rfc3339(known.received)}, and what was said then stays."
        raise Refused(Reason.CONFLICT, detail=detail, field="recall")
    now = clock.now()
    check_not_future(statement["time"], now, field="recall.time")
    kept = ModelRecall.objects.create(
        model=statement["model"],
        owner=institution,
        reason=statement["reason"],
        classification=statement["classification"],
        advice=statement["advice"],
        statement=token,
        received=now,
    )
    record(
        event=Event.MODEL_RECALLED,
        public={
            "model": kept.model,
            "institution": institution.slug,
            "reason": kept.reason,
            "classification": kept.classification,
        },
        documents={"recall": token},
    )
    _tell(kept, read(peek(document(entry.documents["manifest"]).decode())[1], Manifest))
    return kept


def _tell(recall: ModelRecall, manifest: Manifest) -> None:
    """Everybody whom it concerns, once; the owner's advice is a link away, where it is not cut."""
    sentence = (
        f"{recall.owner.slug} recalled the model {manifest['model']} {manifest['version'][:40]} (class "
        f"{recall.classification}: {WHY[recall.reason]}). Nothing is computed with it any more: do as its advice says."
    )
    definitions = Definition.objects.filter(content__model=recall.model)
    for each in selectors.told_of_recall(recall.model):
        seen = definitions.filter(study__in=selectors.visible_studies([each])).first()
        notifications.tell(
            Notice.MODEL_RECALLED,
            to=notifications.holders(each, *_TOLD),
            study=None,
            key=f"recalled {recall.model}",
            sentence=sentence,
            path=reverse("admin:governance_definition_change", args=[seen.pk]) if seen else "",
        )
