"""What must hold whatever anybody has done: read from the tables and the log, and written without the services."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from concordat import clock
from concordat.canonical import digest
from concordat.events import Event
from concordat.reasons import Refused
from governance.models import (
    Ballot,
    ConditionsCheck,
    Conflict,
    Delegation,
    Determination,
    LocalContext,
    Membership,
    ProtocolVersion,
    RelianceAgreement,
    Signature,
    Study,
    Submission,
)
from governance.states import OPEN, StudyState
from ledger.models import LogEntry

PASSES = ("approved", "approved-with-conditions")
ALONE = {
    ("exempt", "irb-chair"),
    ("exempt", "irb-administrator"),
    ("expedited", "irb-chair"),
    ("full-board", "irb-chair"),
    ("paper", "irb-chair"),
    ("paper", "irb-administrator"),
}
BY_DELEGATION = {"expedited": "expedited-review", "full-board": "preside"}


class Witness:
    """Looks after every step, and remembers what it saw."""

    def __init__(self) -> None:
        self.signatures: dict[int, str] = {}
        self.determinations: set[int] = set()
        self.conditions: set[int] = set()
        self.ballots: set[int] = set()
        self.epochs: dict[int, int] = {}

    def look(self) -> None:
        """Raises AssertionError naming what does not hold."""
        self._nothing_signed_has_changed()
        self._who_decided_was_free_to()
        for study in Study.objects.all():
            self._epoch_has_not_fallen(study)
            check_one_open_submission(study)
            check_log_tells_the_state(study)
            check_authority(study)

    def _nothing_signed_has_changed(self) -> None:
        for signature in Signature.objects.all():
            content = digest(signature.document)
            assert content == signature.record == signature.statement["record"], "a signed record was changed"
            assert self.signatures.setdefault(signature.pk, content) == content, "another record under a signature"
        for version in ProtocolVersion.objects.all():
            assert digest(version.content) == version.digest, "a protocol was changed"
        for table in (Determination, Delegation, RelianceAgreement, LocalContext):
            for row in table.objects.all():
                assert digest(row.document) == row.digest, f"{table.__name__} is not what was signed"

    def _who_decided_was_free_to(self) -> None:
        """Asked right after the step, while what was true of the person then still is."""
        for made in Determination.objects.exclude(pk__in=self.determinations):
            study = made.review.submission.study
            check_independent(made.signature.officer.user, study)
            check_authority_to_sign(made)
            check_relied_on(made, study)
            self.determinations.add(made.pk)
        for ballot in Ballot.objects.exclude(pk__in=self.ballots):
            check_independent(ballot.seat.officer.user, ballot.item.review.submission.study)
            assert ballot.item.attendance.filter(seat=ballot.seat).order_by("pk").last().status == "present"
            self.ballots.add(ballot.pk)
        for check in ConditionsCheck.objects.exclude(pk__in=self.conditions):
            check_independent(check.signature.officer.user, check.determination.review.submission.study)
            self.conditions.add(check.pk)

    def _epoch_has_not_fallen(self, study: Study) -> None:
        assert study.epoch >= self.epochs.get(study.pk, 0), "an epoch fell"
        self.epochs[study.pk] = study.epoch


def check_refused(refused: Refused) -> None:
    """Every refusal is explained: a sentence for this case, and what to do."""
    assert refused.detail.strip(), refused.reason
    assert refused.info.sentence, refused.reason
    assert refused.info.remedy, refused.reason


def check_independent(user: User, study: Study) -> None:
    mine = Membership.objects.filter(user=user, institution=study.institution, role="investigator")
    assert not mine.exists(), "an investigator decided on a study of their own"
    assert user.pk not in study.versions.values_list("submitted_by", flat=True), "self-review"
    assert user.pk not in study.submissions.values_list("submitted_by", flat=True), "self-review"
    tied = Conflict.objects.filter(study=study, officer__user=user, withdrawn=None)
    assert not tied.exists(), "somebody with a conflict of interest decided"


def check_authority_to_sign(made: Determination) -> None:
    """The role that the path asks for, held at the board's institution; or the chair's delegation."""
    signature, path, board = made.signature, made.document["path"], made.review.board
    assert signature.institution == board
    if path == "full-board":
        item = made.review.items.get(minutes_digest=made.document["minutes"])
        votes = [ballot.choice for ballot in item.ballots.all()]
        assert 2 * votes.count("for") > len(votes) > 0, "a motion that did not carry was signed"
        assert item.outcome == made.outcome, "another outcome than the vote's was signed"
    held = Membership.objects.filter(user=signature.officer.user, institution=board, role=signature.role)
    assert held.exists(), "signed in a role that the signer does not hold"
    if (path, signature.role) not in ALONE:
        delegation = Delegation.objects.get(digest=made.document["delegation"])
        assert delegation.scope == BY_DELEGATION[path]
        assert delegation.delegate == signature.officer
        assert delegation.board == board
        assert delegation.study in (None, made.review.submission.study)
        assert delegation.signature.role == "irb-chair"
        assert delegation.ended is None
        assert delegation.starts <= signature.signed < delegation.ends


def check_relied_on(made: Determination, study: Study) -> None:
    """For each site that is not the board's own: an agreement in force now, and its local context if it may begin."""
    board = made.review.board
    for slug in set(made.document["sites"]) - {board.slug}:
        agreement = RelianceAgreement.objects.get(digest=made.document["reliance"][slug])
        assert (agreement.relying.slug, agreement.reviewing) == (slug, board)
        assert agreement.study in ("", study.slug)
        assert agreement.agreed is not None
        assert agreement.ended is None
        assert agreement.starts <= made.signature.signed < agreement.ends
        assert {each.institution for each in agreement.signatures.all()} == {agreement.relying, board}
        if made.outcome in PASSES:
            context = LocalContext.objects.filter(
                study=study, site__slug=slug, board=board, base=made.review.submission.version.base
            )
            assert context.exists(), "approved without the local context"


def check_one_open_submission(study: Study) -> None:
    assert study.submissions.filter(state__in=sorted(OPEN)).count() <= 1, "two submissions before the boards"


def check_authority(study: Study) -> None:
    """No dispatch without authority: a study that is approved now has, for each of its sites and on the base in force,
    a board's last word that lets it pass, has not expired, and has its conditions verified; since a suspension, from
    every board that had a part in it."""
    now = clock.now()
    if study.state_at(now) is not StudyState.APPROVED:
        return
    version = study.in_force
    assert version is not None
    pending = study.submissions.filter(state__in=sorted(OPEN)).values_list("version__content__sites", flat=True)
    named = set(version.content["sites"]).union(*pending)
    assert named == set(study.sites.values_list("slug", flat=True)), "sites that no version in force or pending names"
    words = [
        made
        for submission in study.submissions.filter(version__base=version.base, state="approved")
        for made in last_words(submission)
    ]
    standing = [made for made in words if clock.parse(made.document["expires"]) > now]
    covered = {site for made in standing for site in made.document["sites"]}
    assert covered >= set(version.content["sites"]), "a site whose board has not approved what is in force"
    approving = study.submissions.filter(version=version, state="approved")
    assert any({s for made in last_words(each) for s in made.document["sites"]} >= covered for each in approving)
    stopped = (logged(Event.STUDY_SUSPENDED, study) or [None])[-1]
    if stopped is not None:
        back = study.submissions.filter(kind="reinstatement", state="approved").first()
        assert back is not None, "a suspension that no reinstatement lifted"
        submitted = logged(Event.STUDY_SUBMITTED, study)
        (entry,) = (each for each in submitted if each.public["submission"] == str(back.uuid))
        assert entry.index > stopped.index, "a reinstatement from before the suspension lifted it"
        boards = {made.review.board.slug for made in last_words(back)}
        assert boards & answering_for(stopped), "the board of whoever suspended did not approve"


def last_words(submission: Submission) -> list[Determination]:
    """Each board's last determination, which must let the submission pass."""
    found = []
    for review in submission.reviews.all():
        made = review.determinations.order_by("pk").last()
        assert made is not None, "approved without a board's determination"
        assert made.outcome in PASSES, "approved over a board that did not"
        if made.outcome == "approved-with-conditions":
            assert ConditionsCheck.objects.filter(determination=made).exists(), "conditions that nobody verified"
        found.append(made)
    return found


def answering_for(stop: LogEntry) -> set[str]:
    """The boards that could speak for the institution that suspended, when it did."""
    agreed = RelianceAgreement.objects.filter(relying__slug=stop.public["institution"], agreed__lte=stop.time)
    in_force = agreed.filter(study__in=["", stop.public["study"]]).exclude(ended__lt=stop.time)
    return {stop.public["institution"], *in_force.values_list("reviewing__slug", flat=True)}


def logged(event: Event, study: Study) -> list[LogEntry]:
    found = LogEntry.objects.filter(event=event, references__name="study", references__value=study.slug)
    return list(found.order_by("index"))


def check_log_tells_the_state(study: Study) -> None:
    told = replay(
        LogEntry.objects.filter(references__name="study", references__value=study.slug).order_by("index"), clock.now()
    )
    actual = study.state_at(clock.now())
    assert told == actual, f"the log tells {told}, the study is {actual}"


def replay(entries: Iterable[LogEntry], now: datetime) -> str:
    """The state of a study, from its log entries alone."""
    state, expires, said = "draft", None, Outcomes()
    for entry in entries:
        event, public = entry.event, entry.public
        first = public.get("kind") == "initial" or said.kind.get(public.get("submission", "")) == "initial"
        if event == Event.STUDY_SUBMITTED:
            said.begin(public)
            state = "submitted" if first else state
        elif event in (Event.REVIEW_SIGNED, Event.CONDITIONS_VERIFIED):
            said.hear(public)
            joint = said.joint(public["submission"])
            state = joint if first and joint != "approved" and state != "suspended" else state
        elif event == Event.STUDY_APPROVED and public["kind"] != "amendment":
            expires = clock.parse(public["expires"])
            state = "approved" if state != "suspended" or public["kind"] == "reinstatement" else state
        elif event == Event.SUBMISSION_WITHDRAWN:
            state = "draft" if first else state
        elif event in ENDS:
            state = ENDS[event]
    return "expired" if state == "approved" and expires is not None and now >= expires else state


ENDS = {
    Event.STUDY_SUSPENDED.value: "suspended",
    Event.STUDY_TERMINATED.value: "terminated",
    Event.STUDY_CLOSED.value: "closed",
    Event.STUDY_EXPIRED.value: "expired",
}


class Outcomes:
    """What each board has said of each submission, as the log has it."""

    def __init__(self) -> None:
        self.kind: dict[str, str] = {}
        self.by_board: dict[str, dict[str, str]] = {}

    def begin(self, public: Any) -> None:
        self.kind[public["submission"]] = public["kind"]
        self.by_board[public["submission"]] = dict.fromkeys(public["boards"], "")

    def hear(self, public: Any) -> None:
        self.by_board[public["submission"]][public["institution"]] = public.get("determination", "approved")

    def joint(self, submission: str) -> str:
        said = set(self.by_board[submission].values())
        for one_is_enough in ("disapproved", "modifications-required", "deferred"):
            if one_is_enough in said:
                return one_is_enough
        if said == {"approved"}:
            return "approved"
        return "approved-with-conditions" if said <= set(PASSES) else "under-review"
