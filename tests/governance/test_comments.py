"""Comments: everybody's, or one institution's own."""

from typing import Any

import pytest

from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance.models import Comment, Study
from governance.services import comments
from ledger import selectors as ledger
from ledger.models import LogEntry
from tests.governance.conftest import Consortium

TEXT = "Ask Dr Huber about the consent form."


def write(c: Consortium, study: Study, *, by: Any = None, slug: str = "zurich", **changes: Any) -> Comment:
    by = by or c.member(slug, "irb-member")
    given: dict[str, Any] = {"text": TEXT, "internal": False}
    return comments.write(by=by, study=study, institution=c.at[slug], **given | changes)


def test_who_sees_which(consortium: Consortium) -> None:
    study = consortium.submitted()
    open_, internal = write(consortium, study), write(consortium, study, internal=True, text="Between us.")
    for slug, expected in (("zurich", [open_, internal]), ("budapest", [open_]), ("cleveland", [open_])):
        assert list(comments.seen(consortium.member(slug, "clinician"), study)) == expected


def test_the_log_commits_to_the_words_and_to_who_wrote_them(consortium: Consortium) -> None:
    comment = write(consortium, consortium.submitted())
    entry = ledger.entries(event=Event.COMMENT_WRITTEN).get()
    assert dict(entry.public) == {"study": "chest-pain", "institution": "zurich"}
    assert ledger.private_fields(entry) == {"officer": str(comment.officer.uuid), "text": TEXT}
    assert "Huber" not in str(entry.content)


def test_who_may_not_and_when_not(consortium: Consortium) -> None:
    study = consortium.submitted()
    for by, slug, reason in [
        (consortium.member("notary", "irb-member"), "notary", Reason.NOT_FOUND),
        (consortium.member("zurich", "irb-member"), "budapest", Reason.WRONG_INSTITUTION),
        (consortium.member("zurich", "auditor"), "zurich", Reason.ROLE_MISSING),
    ]:
        before = LogEntry.objects.count()
        with pytest.raises(Refused) as caught:
            write(consortium, study, by=by, slug=slug)
        assert caught.value.reason is reason
        assert LogEntry.objects.count() == before
    Study.objects.update(state="draft")
    with pytest.raises(Refused) as caught:
        write(consortium, study, by=consortium.member("cleveland", "investigator"), slug="cleveland")
    assert caught.value.reason is Reason.WRONG_STATE
    assert not Comment.objects.exists()


@pytest.mark.parametrize("text", ["", " ", "x" * 2001])
def test_words_are_neither_none_nor_too_many(consortium: Consortium, text: str) -> None:
    with pytest.raises(Refused) as caught:
        write(consortium, consortium.submitted(), text=text)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "text")
