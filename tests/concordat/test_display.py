import pytest

from concordat import canonical, clock, display, signatures
from concordat.reasons import Refused

TEXT = "Predicted probability 73 %"


def show(study, **changes):
    fields = {
        "request": study.request["request"],
        "job": study.ticket["job"],
        "template": "terminal-v1",
        "language": "en",
        "rendered": TEXT,
        "viewer": "cardiologist",
        "decision": "accepted",
        "time": study.now,
        "key": study.keys["long-beach"],
    }
    return display.show(**{**fields, **changes})


def test_it_commits_to_the_very_text_that_was_shown(study):
    receipt = display.read_display(show(study), study.keyring["long-beach"])
    assert receipt["rendered"] == canonical.digest(TEXT.encode())
    assert TEXT not in receipt.values()


@pytest.mark.parametrize("decision", ["accepted", "overridden", "shown"])
def test_what_the_viewer_made_of_it(study, decision):
    token = show(study, decision=decision)
    assert display.read_display(token, study.keyring["long-beach"])["decision"] == decision


def test_no_other_decision(study):
    with pytest.raises(Refused):
        show(study, decision="ignored")


def test_only_the_requesters_own_signature_counts(study):
    with pytest.raises(Refused):
        display.read_display(show(study), study.keyring["zurich"])


def test_a_receipt_of_the_first_version_still_verifies(study):
    first = {
        "request": study.request["request"],
        "job": study.ticket["job"],
        "template": "terminal-v1",
        "language": "en",
        "rendered": canonical.digest(TEXT.encode()),
        "viewer": "cardiologist",
        "decision": "overridden",
        "time": clock.rfc3339(study.now),
    }
    token = signatures.sign(first, kind="display", key=study.keys["long-beach"])
    read = display.read_display(token, study.keyring["long-beach"])
    assert read == {**first, "v": 1, "reason": "", "threshold": ""}
    for wrong in ({"decision": "suppressed"}, {"reason": "other"}, {"v": 1, "reason": "", "threshold": ""}):
        token = signatures.sign(first | wrong, kind="display", key=study.keys["long-beach"])
        with pytest.raises(Refused):
            display.read_display(token, study.keyring["long-beach"])


@pytest.mark.parametrize("viewer", ["Dr. Needle", "clinican", "Clinician", ""])
def test_who_it_is_shown_to_is_a_role_and_a_name_is_not_repeated(study, viewer):
    with pytest.raises(Refused) as caught:
        show(study, viewer=viewer)
    assert caught.value.field == "viewer"
    assert "Needle" not in caught.value.detail


def test_a_receipt_of_before_the_list_of_roles_still_verifies(study):
    said = display.read_display(show(study), study.keyring["long-beach"]) | {"viewer": "hospitalist"}
    token = signatures.sign(said, kind="display", key=study.keys["long-beach"])
    assert display.read_display(token, study.keyring["long-beach"])["viewer"] == "hospitalist"


def test_it_reads_well_whatever_the_role():
    assert display.say("shown", "oncologist") == "shown to an oncologist"
    assert display.say("suppressed", "nurse", threshold="0.2").startswith("kept back from a nurse, ")


@pytest.mark.parametrize("code", display.OVERRIDES)
def test_why_it_was_overridden_is_one_of_a_list(study, code):
    token = show(study, decision="overridden", reason=code)
    assert display.read_display(token, study.keyring["long-beach"])["reason"] == code


@pytest.mark.parametrize("code", display.TAKEN_BACK)
def test_why_it_was_retracted_is_one_of_a_list(study, code):
    token = show(study, decision="retracted", reason=code)
    assert display.read_display(token, study.keyring["long-beach"])["reason"] == code


def test_what_was_suppressed_says_below_which_threshold(study):
    token = show(study, decision="suppressed", threshold="0.2")
    assert display.read_display(token, study.keyring["long-beach"])["threshold"] == "0.2"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("reason", {"decision": "overridden", "reason": "because"}),
        ("reason", {"decision": "accepted", "reason": "other"}),
        ("reason", {"decision": "retracted"}),
        ("reason", {"decision": "retracted", "reason": "other"}),
        ("threshold", {"decision": "suppressed"}),
        ("threshold", {"decision": "shown", "threshold": "0.2"}),
    ],
)
def test_a_reason_and_a_threshold_go_with_their_decisions_only(study, field, changes):
    with pytest.raises(Refused) as refused:
        show(study, **changes)
    assert refused.value.field == field
    base = signatures.peek(show(study))[1]
    token = signatures.sign(base | changes, kind="display", key=study.keys["long-beach"])
    with pytest.raises(Refused):
        display.read_display(token, study.keyring["long-beach"])
