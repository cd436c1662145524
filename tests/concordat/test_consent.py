"""A consent covers one person, study, purpose and time; what another signed ends when the person can decide."""

from datetime import timedelta

import pytest

from concordat import clock, consent
from concordat.canonical import digest
from concordat.reasons import Reason, Refused

FORM = {"version": "1", "digest": digest("form"), "language": "en"}
COVERED = {"study": "chest-pain", "purpose": "decision-support", "institution": "long-beach"}


def check(trial, token, **changes):
    about = {"subject": trial.subject, "now": trial.now, **COVERED, **changes}
    return consent.check_consent(token, trial.keyring, **about)


def refusal(trial, token, **changes):
    with pytest.raises(Refused) as caught:
        check(trial, token, **changes)
    return caught.value.reason


def test_it_covers_person_study_purpose_and_institution(study):
    assert check(study, study.consent())["signer"]["capacity"] == "self"


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "00000000-0000-4000-8000-000000000000"},
        {"study": "another"},
        {"purpose": "marketing"},
        {"institution": "zurich"},
    ],
)
def test_it_covers_nothing_else(study, changes):
    assert refusal(study, study.consent(), **changes) is Reason.CONSENT_MISSING


def test_it_ends(study):
    token = study.consent(until=study.now + timedelta(days=1))
    assert check(study, token, now=study.now + timedelta(hours=23))
    assert refusal(study, token, now=study.now + timedelta(days=1)) is Reason.CONSENT_EXPIRED


def test_no_institution_consents_for_another(study):
    assert refusal(study, study.consent(key=study.keys["zurich"])) is Reason.KEY_UNKNOWN


def test_a_withdrawal_names_the_consent_and_is_signed_by_the_same_institution(study):
    given = consent.read_consent(study.consent(), study.keyring)
    fields = {"consent": given["consent"], "institution": "long-beach", "time": study.now}
    token = consent.withdraw(**fields, key=study.keys["long-beach"])
    assert consent.read_withdrawal(token, study.keyring)["consent"] == given["consent"]
    with pytest.raises(Refused):
        consent.read_withdrawal(consent.withdraw(**fields, key=study.keys["zurich"]), study.keyring)


def test_a_consent_is_no_withdrawal(study):
    with pytest.raises(Refused) as caught:
        consent.read_withdrawal(study.consent(), study.keyring)
    assert caught.value.reason is Reason.SIGNATURE_INVALID


# --- signed by another


def parent(study, **changes):
    fields = {
        "signer": {"capacity": "parent", "assent": digest("assent")},
        "reconsent": {"on": clock.rfc3339(study.now + timedelta(days=30)), "why": "majority"},
    }
    return study.consent(**fields | changes)


def representative(study, **changes):
    return study.consent(**{"signer": {"capacity": "representative", "assent": ""}} | changes)


def test_a_parent_s_consent_ends_on_the_day_of_majority(study):
    token = parent(study)
    assert check(study, token)["signer"]["capacity"] == "parent"
    with pytest.raises(Refused) as caught:
        check(study, token, now=study.now + timedelta(days=30))
    assert (caught.value.reason, caught.value.field) == (Reason.RECONSENT_NEEDED, "consent.reconsent.on")


def test_a_representative_s_consent_may_have_a_day_on_which_capacity_is_back(study):
    assert check(study, representative(study), now=study.now + timedelta(days=300))
    due = {"on": clock.rfc3339(study.now + timedelta(days=2)), "why": "capacity"}
    assert refusal(study, representative(study, reconsent=due), now=study.now + timedelta(days=3)) is (
        Reason.RECONSENT_NEEDED
    )


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"signer": {"capacity": "parent", "assent": ""}}, Reason.FIELD_MISSING, "signer.assent"),
        ({"signer": {"capacity": "parent", "assent": "yes"}}, Reason.FIELD_INVALID, "signer.assent"),
        ({"reconsent": None}, Reason.FIELD_MISSING, "reconsent"),
        ({"reconsent": {"on": "2027-01-01T00:00:00Z", "why": "capacity"}}, Reason.FIELD_INVALID, "reconsent.why"),
        ({"reconsent": {"on": "2020-01-01T00:00:00Z", "why": "majority"}}, Reason.FIELD_INVALID, "reconsent.on"),
        ({"reconsent": {"on": "at eighteen", "why": "majority"}}, Reason.FIELD_INVALID, "reconsent.on"),
        ({"signer": {"capacity": "self", "assent": digest("a")}}, Reason.FIELD_INVALID, "signer.assent"),
        ({"signer": {"capacity": "representative", "assent": digest("a")}}, Reason.FIELD_INVALID, "signer.assent"),
        ({"signer": {"capacity": "self", "assent": ""}}, Reason.FIELD_INVALID, "reconsent"),
        ({"signer": {"capacity": "neighbour", "assent": ""}}, Reason.FIELD_INVALID, "signer.capacity"),
        (
            {"form": FORM | {"language": "English!"}},
            Reason.FIELD_INVALID,
            "form.language",
        ),
        ({"form": FORM | {"version": ""}}, Reason.FIELD_INVALID, "form.version"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(study, changes, reason, field):
    with pytest.raises(Refused) as caught:
        parent(study, **changes)
    assert (caught.value.reason, caught.value.field) == (reason, field)


def test_an_institution_that_signs_nonsense_is_not_believed_either(study):
    """The reader checks what the writer had to check: the assent is no matter of the writer's software."""
    statement = consent.peek_consent(parent(study)) | {"reconsent": None}
    token = consent.sign(statement, consent.Consent, kind="consent", key=study.keys["long-beach"])
    with pytest.raises(Refused) as caught:
        consent.read_consent(token, study.keyring)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_MISSING, "reconsent")


def test_regained_capacity_names_the_consent_and_is_signed_by_the_same_institution(study):
    given = consent.read_consent(representative(study), study.keyring)
    fields = {"consent": given["consent"], "institution": "long-beach", "why": "capacity", "time": study.now}
    own = study.keys["long-beach"]
    token = consent.regained_capacity(**fields, key=own)
    assert consent.read_capacity(token, study.keyring)["why"] == "capacity"
    for forged in (
        consent.regained_capacity(**fields, key=study.keys["zurich"]),
        consent.withdraw(consent=given["consent"], institution="long-beach", time=study.now, key=own),
    ):
        with pytest.raises(Refused):
            consent.read_capacity(forged, study.keyring)
