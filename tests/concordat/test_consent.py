from datetime import timedelta

import pytest

from concordat import consent
from concordat.reasons import Reason, Refused

COVERED = {"study": "chest-pain", "purpose": "decision-support", "institution": "long-beach"}


def check(trial, token, **changes):
    about = {"subject": trial.subject, "now": trial.now, **COVERED, **changes}
    return consent.check_consent(token, trial.keyring, **about)


def refusal(trial, token, **changes):
    with pytest.raises(Refused) as caught:
        check(trial, token, **changes)
    return caught.value.reason


def test_it_covers_person_study_purpose_and_institution(study):
    assert check(study, study.consent())["signer"] == "self"


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
