"""What SQLite cannot show, as it has one writer at a time; `tests/full/test_on_postgresql.py` runs this file."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection

from concordat import clock, passkeys
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import acts
from governance.models import Ballot, Consent, Definition, ModelRecall, Notification, Study
from governance.notices import Notice
from governance.services import (
    boards,
    definitions,
    incidents,
    institutions,
    model_cards,
    notifications,
    outbox,
    people,
    recalls,
    sittings,
)
from governance.services import consent as consents
from governance.states import StudyState
from ledger.models import LogEntry
from ledger.selectors import entries
from tests.governance.conftest import BOARDS, Consortium
from tests.support.at_once import at_once, waiting_for_the_log
from tests.support.boardroom import Boardroom

pytestmark = pytest.mark.usefixtures("committed")


def twice(call: Any) -> Any:
    """What both of two calls answer; they must agree."""
    first, second = at_once(call, call)
    assert first == second
    return first


def test_a_consent_that_comes_twice_at_once_is_one(consortium: Consortium) -> None:
    consortium.approved()
    token, institution = consortium.consent(), consortium.at["long-beach"]
    assert isinstance(twice(lambda: consents.give(institution=institution, token=token)), Consent)
    assert entries(event=Event.CONSENT_GIVEN).count() == 1


def test_a_consent_is_withdrawn_once(consortium: Consortium) -> None:
    consortium.approved()
    token, institution = consortium.consent(), consortium.at["long-beach"]
    given = consents.give(institution=institution, token=token)
    withdrawal = consortium.withdrawal(str(given.uuid))
    assert twice(lambda: consents.withdraw(institution=institution, token=withdrawal)) == given
    given.refresh_from_db()
    assert given.epoch == 1
    assert entries(event=Event.CONSENT_WITHDRAWN).count() == 1


def test_a_definition_that_two_institutions_register_at_once_is_one(consortium: Consortium) -> None:
    content = consortium.content(consortium.approved(), consortium.import_model())
    first, second = at_once(
        lambda: consortium.register(content, by="cleveland"), lambda: consortium.register(content, by="zurich")
    )
    assert first == second == Definition.objects.get()
    assert entries(event=Event.DEFINITION_REGISTERED).count() == 1


def test_a_vote_that_comes_twice_at_once_is_one(consortium: Consortium) -> None:
    known = consortium.registered()
    vote = consortium.vote("zurich", known)
    assert twice(lambda: definitions.relay_vote(vote=vote)).approve is True
    assert entries(event=Event.DEFINITION_VOTED).count() == 1


def test_a_model_that_is_recalled_twice_at_once_is_recalled_once(consortium: Consortium) -> None:
    token = consortium.recall(consortium.registered().content["model"])
    assert isinstance(twice(lambda: recalls.recall(institution=consortium.at["cleveland"], token=token)), ModelRecall)
    assert entries(event=Event.MODEL_RECALLED).count() == 1


def test_of_two_cards_with_one_number_one_counts(consortium: Consortium) -> None:
    model = consortium.import_model()
    cards = [consortium.card(model, attributes={"funding": [text]}) for text in ("A state.", "A firm.")]
    owner = consortium.at["cleveland"]
    answers = at_once(*(lambda token=token: model_cards.describe(institution=owner, token=token) for token in cards))
    assert [each.reason for each in answers if isinstance(each, Refused)] == [Reason.CONFLICT]
    assert entries(event=Event.MODEL_DESCRIBED).count() == 1


def test_of_two_votes_with_one_nonce_one_counts(consortium: Consortium) -> None:
    known = consortium.registered()
    votes = [consortium.vote("zurich", known, approve=approve) for approve in (True, False)]
    answers = at_once(*(lambda vote=vote: definitions.relay_vote(vote=vote) for vote in votes))
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert [answer.reason for answer in refused] == [Reason.VOTE_INVALID]
    assert known.votes.count() == 1


def test_every_revocation_counts(consortium: Consortium) -> None:
    """What was authorised between two revocations must not pass for authorised after both."""
    known = consortium.registered()
    votes = [consortium.vote(slug, known, approve=False) for slug in ("zurich", "budapest")]
    at_once(*(lambda vote=vote: definitions.relay_vote(vote=vote) for vote in votes))
    known.refresh_from_db()
    assert known.epoch == 2


def test_boards_that_sign_at_once_approve_the_study_together(consortium: Consortium) -> None:
    study = consortium.submitted()
    first, *others = BOARDS
    consortium.sign(consortium.chairs[first], study)
    signed = at_once(*(lambda slug=slug: consortium.sign(consortium.chairs[slug], study) for slug in others))
    assert [review.determination for review in signed] == ["approved"] * len(others)
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED
    assert entries(event=Event.STUDY_APPROVED).count() == 1


def test_of_two_ballots_of_one_member_at_once_one_is_cast(consortium: Consortium) -> None:
    zurich = Boardroom(consortium)
    item = str(zurich.moved(consortium.submitted()).uuid)
    chair = zurich.chair.user
    ballots = [lambda choice=choice: sittings.vote(by=chair, item=item, choice=choice) for choice in ("for", "against")]
    refused = [answer for answer in at_once(*ballots) if isinstance(answer, Refused)]
    assert [answer.reason for answer in refused] == [Reason.CONFLICT]
    assert Ballot.objects.count() == entries(event=Event.BALLOT_CAST).count() == 1


def test_a_recusal_and_the_end_of_the_vote_at_once_leave_one_outcome(consortium: Consortium) -> None:
    """A member whose conflict is recorded before the vote is closed cannot have been counted in it."""
    zurich, study = Boardroom(consortium), consortium.submitted()
    item = zurich.moved(study)
    zurich.vote(item, chair="for", second="for", lawyer="for")
    lawyer, declared = zurich.people["lawyer"], {"study": str(study.uuid), "ground": "A cousin."}
    at_once(lambda: boards.declare_conflict(by=lawyer, board=zurich.board, **declared), lambda: zurich.decide(item))
    item.refresh_from_db()
    order = list(entries().filter(event__in=[Event.CONFLICT_DECLARED, Event.ITEM_DECIDED]).order_by("index"))
    decided_first = order[0].event == Event.ITEM_DECIDED
    assert (item.state, len(item.minutes["present"])) == (("decided", 3) if decided_first else ("stopped", 2))


def test_one_challenge_is_signed_once(consortium: Consortium) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"]
    fields = {"study": str(study.uuid), "institution": "zurich", "ground": "An incident."}
    asked = acts.ask(by=chair.user, act="suspend", fields=fields)
    assertion = chair.passkey.assertion(passkeys.challenge(asked.statement))

    def sign() -> Any:
        return acts.sign(by=chair.user, nonce=asked.nonce, assertion=assertion)

    refused = [answer for answer in at_once(sign, sign) if isinstance(answer, Refused)]
    assert [answer.reason for answer in refused] == [Reason.CONFLICT]


def test_a_roster_does_not_stand_in_the_way_of_what_refers_to_its_institution(consortium: Consortium) -> None:
    consortium.approved()
    token = consortium.roster_token("zurich", [(consortium.chairs["zurich"], "irb-chair")])
    before = LogEntry.objects.count()
    with waiting_for_the_log(lambda: institutions.publish_roster(token=token)) as publishing:
        consortium.officer("zurich", "investigator")
    assert publishing[0].result(30).version == 2
    assert LogEntry.objects.count() > before


def test_two_senders_at_once_send_every_message_once(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds a letter in its hands before either may put it into the box."""
    people = [consortium.member("zurich", "irb-member") for _ in range(6)]
    Notification.objects.all().delete()
    for key in ("one", "two"):
        notifications.tell(Notice.MEETING_CALLED, to=people, study=None, key=key, sentence="A meeting is called.")
    both, put = Barrier(2), EmailBackend.send_messages

    def wait_for_the_other(backend: EmailBackend, messages: Any) -> int:
        if both.n_waiting or not mail.outbox:
            both.wait(30)
        return put(backend, messages)

    def sender() -> int:
        try:
            return outbox.send_due(now)
        finally:
            connection.close()

    monkeypatch.setattr(EmailBackend, "send_messages", wait_for_the_other)
    now = clock.now()
    with ThreadPoolExecutor(2) as pool:
        sent = [each.result(60) for each in [pool.submit(sender), pool.submit(sender)]]
    assert min(sent) > 0
    for person in people:
        bodies = [letter.body for letter in mail.outbox if letter.to == [person.email]]
        assert sum(body.count("A meeting is called.") for body in bodies) == 2
    assert set(Notification.objects.values_list("mail", flat=True)) == {Notification.Mail.SENT}


def test_an_incident_takes_one_of_two_steps_that_come_at_once(consortium: Consortium) -> None:
    study, by = consortium.approved(), consortium.member("zurich", "institution-admin")
    found = clock.now() - timedelta(hours=1)
    incident = incidents.report(
        by=by, study=study, institution=consortium.at["zurich"], kind="breach", discovered=found, summary="It broke."
    )
    calls = [
        lambda to=to: incidents.step(by=by, incident=incident, to=to, text="Done.") for to in ("assessed", "assessed")
    ]
    answers = at_once(*calls)
    refused = [each for each in answers if isinstance(each, Refused)]
    assert [each.reason for each in refused] == [Reason.WRONG_STATE]
    assert incident.steps.count() == entries(event=Event.INCIDENT_STEP).count() == 1


def test_two_administrators_who_remove_each_other_leave_one(consortium: Consortium) -> None:
    first, second = (consortium.member("zurich", "institution-admin") for _ in range(2))
    answers = at_once(
        lambda: people.remove_member(by=first, membership=second.memberships.get()),
        lambda: people.remove_member(by=second, membership=first.memberships.get()),
    )
    assert sum(isinstance(each, Refused) for each in answers) == 1
    assert consortium.at["zurich"].memberships.filter(role="institution-admin").count() == 1


def test_two_decisions_on_data_use_at_once_are_both_kept_and_each_denial_counts(consortium: Consortium) -> None:
    datasets = [{"institution": "zurich", "terms": ["DUO:0000007"]}]
    study = consortium.submitted(data_use={"study": ["DUO:0000007"], "datasets": datasets})
    Study.objects.update(in_force=study.versions.get())
    stewards = [consortium.officer("zurich", "data-steward") for _ in range(2)]
    consortium.roster("zurich", [(each, "data-steward") for each in stewards])
    fields = {"study": str(study.uuid), "institution": "zurich", "decision": "denies", "reason": "No."}
    at_once(*(lambda each=each: consortium.act(each, "decide-data-use", **fields) for each in stewards))
    study.refresh_from_db()
    assert (study.epoch, study.data_use_decisions.count()) == (2, 2)
