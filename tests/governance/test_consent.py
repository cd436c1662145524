"""Consent comes by the institution's signed statement, and goes as easily, at once; another's word lapses."""

from datetime import timedelta
from typing import Any

import pytest

from concordat import clock
from concordat.canonical import digest
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance.models import Consent
from governance.services import consent as consents
from governance.services import studies
from ledger.models import LogEntry
from ledger.selectors import entries, private_fields
from tests.governance.conftest import Consortium


@pytest.fixture
def study(consortium: Consortium) -> Any:
    return consortium.approved()


def give(consortium: Consortium, by: str = "long-beach", **changes: Any) -> Consent:
    return consents.give(institution=consortium.at[by], token=consortium.consent(**changes))


def test_the_log_names_the_consent_but_not_the_person(consortium: Consortium, study: Any) -> None:
    consent = give(consortium)
    entry = entries(event=Event.CONSENT_GIVEN, consent=str(consent.uuid)).get()
    assert str(consent.subject) not in bytes(entry.leaf).decode()
    assert private_fields(entry)["subject"] == str(consent.subject)


def test_the_same_consent_again_is_no_harm(consortium: Consortium, study: Any) -> None:
    token, institution = consortium.consent(), consortium.at["long-beach"]
    assert consents.give(institution=institution, token=token) == consents.give(institution=institution, token=token)
    assert entries(event=Event.CONSENT_GIVEN).count() == 1


def test_an_identifier_is_not_reused_for_another_consent(consortium: Consortium, study: Any) -> None:
    known = give(consortium)
    with pytest.raises(Refused) as caught:
        give(consortium, consent=str(known.uuid))
    assert caught.value.reason is Reason.CONFLICT


@pytest.mark.parametrize(
    ("by", "changes", "reason"),
    [
        ("zurich", {}, Reason.WRONG_INSTITUTION),
        ("notary", {"institution": "notary"}, Reason.NOT_FOUND),
        ("long-beach", {"purposes": ["marketing"]}, Reason.PURPOSE_NOT_ALLOWED),
        ("long-beach", {"study": "unheard-of"}, Reason.NOT_FOUND),
        (
            "long-beach",
            {"given": clock.parse("2020-01-01T00:00:00Z"), "until": clock.parse("2021-01-01T00:00:00Z")},
            Reason.CONSENT_EXPIRED,
        ),
    ],
)
def test_a_consent_that_does_not_fit_is_refused(
    consortium: Consortium, study: Any, by: str, changes: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(Refused) as caught:
        give(consortium, by, **changes)
    assert caught.value.reason is reason
    assert not Consent.objects.exists()


def test_a_study_that_is_not_approved_takes_no_consent(consortium: Consortium) -> None:
    consortium.submitted()
    with pytest.raises(Refused) as caught:
        give(consortium)
    assert caught.value.reason is Reason.WRONG_STATE


def test_withdrawal_takes_effect_at_once_in_any_state_of_the_study(consortium: Consortium, study: Any) -> None:
    consent = give(consortium)
    chair = consortium.chairs["zurich"]
    studies.suspend(study=study, institution=chair.institution, by=chair.user, ground="An incident.")
    token = consortium.withdrawal(str(consent.uuid))
    ended = consents.withdraw(institution=consortium.at["long-beach"], token=token)
    assert ended.withdrawn is not None
    assert timedelta() <= clock.now() - ended.withdrawn < timedelta(minutes=1)
    assert ended.epoch == 1
    assert entries(event=Event.CONSENT_WITHDRAWN, consent=str(consent.uuid)).get().public["epoch"] == 1


def test_withdrawing_twice_is_once(consortium: Consortium, study: Any) -> None:
    token = consortium.withdrawal(str(give(consortium).uuid))
    consents.withdraw(institution=consortium.at["long-beach"], token=token)
    before = LogEntry.objects.count()
    assert consents.withdraw(institution=consortium.at["long-beach"], token=token).epoch == 1
    assert LogEntry.objects.count() == before


def test_nobody_withdraws_through_another_institution(consortium: Consortium, study: Any) -> None:
    consent = give(consortium)
    for by, signer, reason in (
        ("zurich", "long-beach", Reason.WRONG_INSTITUTION),
        ("zurich", "zurich", Reason.NOT_FOUND),
    ):
        with pytest.raises(Refused) as caught:
            consents.withdraw(
                institution=consortium.at[by], token=consortium.withdrawal(str(consent.uuid), institution=signer)
            )
        assert caught.value.reason is reason


# --- signed by another


PARENT: dict[str, Any] = {
    "signer": {"capacity": "parent", "assent": digest("assent")},
    "reconsent": {"on": clock.rfc3339(clock.now() + timedelta(days=50)), "why": "majority"},
}
REPRESENTATIVE: dict[str, Any] = {"signer": {"capacity": "representative", "assent": ""}}


@pytest.mark.parametrize(("signed", "people"), [(PARENT, "minors"), (REPRESENTATIVE, "adults-without-capacity")])
def test_others_sign_only_for_people_whom_the_protocol_takes(
    consortium: Consortium, signed: dict[str, Any], people: str
) -> None:
    consortium.approved(population=["adults", people])
    assert give(consortium, **signed).signer == signed["signer"]["capacity"]
    consortium.approved(study="another", population=["adults"])
    with pytest.raises(Refused) as caught:
        give(consortium, study="another", **signed)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "signer.capacity")
    assert people in caught.value.detail


def test_a_parent_s_consent_after_majority_is_not_taken(consortium: Consortium, study: Any) -> None:
    given = clock.now() - timedelta(days=30)
    due = {"on": clock.rfc3339(clock.now() - timedelta(days=1)), "why": "majority"}
    with pytest.raises(Refused) as caught:
        give(consortium, **PARENT | {"given": given, "reconsent": due})
    assert caught.value.reason is Reason.RECONSENT_NEEDED


def test_who_decides_for_themself_by_now_is_the_only_one_to_consent(consortium: Consortium, study: Any) -> None:
    consent = give(consortium, **PARENT)
    token = consortium.capacity(str(consent.uuid), why="majority")
    ended = consents.lapse(institution=consortium.at["long-beach"], token=token)
    assert (ended.epoch, ended.lapsed is not None, ended.withdrawn) == (1, True, None)
    entry = entries(event=Event.CONSENT_LAPSED, consent=str(consent.uuid)).get()
    assert entry.public == {
        "study": "chest-pain",
        "institution": "long-beach",
        "consent": str(consent.uuid),
        "epoch": 1,
    }
    assert str(consent.subject) not in bytes(entry.leaf).decode()
    assert private_fields(entry) == {"subject": str(consent.subject), "statement": token}
    for signed in (PARENT, REPRESENTATIVE):
        with pytest.raises(Refused) as caught:
            give(consortium, subject=str(consent.subject), **signed)
        assert (caught.value.reason, caught.value.field) == (Reason.RECONSENT_NEEDED, "signer.capacity")
    assert give(consortium, subject=str(consent.subject)).signer == "self"
    assert give(consortium, **PARENT).signer == "parent", "another child's parents still sign"


def test_lapsing_twice_is_once(consortium: Consortium, study: Any) -> None:
    token = consortium.capacity(str(give(consortium, **PARENT).uuid))
    consents.lapse(institution=consortium.at["long-beach"], token=token)
    before = LogEntry.objects.count()
    assert consents.lapse(institution=consortium.at["long-beach"], token=token).epoch == 1
    assert LogEntry.objects.count() == before


def test_a_person_s_own_consent_does_not_lapse(consortium: Consortium, study: Any) -> None:
    token = consortium.capacity(str(give(consortium).uuid))
    with pytest.raises(Refused) as caught:
        consents.lapse(institution=consortium.at["long-beach"], token=token)
    assert caught.value.reason is Reason.CONFLICT


def test_nobody_says_so_for_another_institution_s_people(consortium: Consortium, study: Any) -> None:
    consent = give(consortium, **PARENT)
    for by, signer, reason in (
        ("zurich", "long-beach", Reason.WRONG_INSTITUTION),
        ("zurich", "zurich", Reason.NOT_FOUND),
    ):
        with pytest.raises(Refused) as caught:
            consents.lapse(
                institution=consortium.at[by], token=consortium.capacity(str(consent.uuid), institution=signer)
            )
        assert caught.value.reason is reason
