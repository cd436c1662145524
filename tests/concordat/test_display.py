import pytest

from concordat import canonical, display
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
