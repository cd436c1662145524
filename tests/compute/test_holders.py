"""Whoever was given something of a person is told when that person is erased, and nobody else."""

from uuid import UUID, uuid4

import pytest

from compute.models import ErasureNotice
from compute.selectors import notices_of
from compute.services.erasure import erase_subject
from concordat.events import Event
from concordat.law import Exemption
from concordat.reasons import Reason, Refused
from governance.models import Notification
from governance.notices import Notice
from governance.services import people
from governance.services.dossiers import hand_out
from ledger import selectors as ledger
from ledger import vault
from ledger.services import dossiers, retention
from ledger.services.record import record
from tests.support.consortium import REQUESTER, STUDY


@pytest.fixture(autouse=True)
def no_checkpoint(monkeypatch):
    """Tests run inside a transaction, where there is no checkpoint to be had."""
    monkeypatch.setattr(vault, "checkpoint_wal", lambda: None)


def member(world, slug, role="legal-reviewer"):
    email = f"{role}@{slug}.example"
    return people.add_member(email=email, name="Member", institution=world.bodies[slug], role=role).user


def erase(world):
    with world.commit():
        return erase_subject(institution=REQUESTER, subject=UUID(world.consortium.subject), ground="objection")


def told(world):
    return {notice.institution.slug: notice.records for notice in ErasureNotice.objects.all()}


def test_a_node_that_fetched_the_dossier_is_told_and_its_officers_are(world):
    job = world.recorded()
    reviewer, bystander = member(world, "zurich"), member(world, "budapest")
    dossiers.hand_out(number=job.record, role="node", reader="zurich")
    destroyed = erase(world)
    assert told(world) == {"zurich": [job.record]}
    (notice,) = notices_of(world.bodies["zurich"])
    assert notice.destroyed == destroyed.record_number
    assert not notices_of(world.bodies["budapest"])
    (letter,) = Notification.objects.filter(notice=Notice.SUBJECT_ERASED)
    assert letter.user == reviewer != bystander
    assert job.record in letter.sentence
    assert world.consortium.subject not in letter.sentence


def test_a_person_reads_for_their_institution(world):
    job = world.recorded()
    hand_out(by=member(world, "zurich", "regulator"), number=job.record)
    erase(world)
    assert told(world) == {"zurich": [job.record]}


def test_the_institution_is_told_where_the_reader_left_since(world):
    job = world.recorded()
    reader = member(world, "zurich", "regulator")
    hand_out(by=reader, number=job.record)
    reader.memberships.all().delete()
    erase(world)
    assert told(world) == {"zurich": [job.record]}


def test_where_nobody_knows_any_more_for_whom_it_was_read_the_requester_is_told(world):
    """An entry from before the institution was recorded, by somebody who has left."""
    job = world.recorded()
    public = {"request": str(job.request_uuid), "role": "legal-reviewer", "form": "page"}
    record(event=Event.DOSSIER_READ, public=public, private={"reader": str(uuid4())})
    erase(world)
    assert told(world) == {REQUESTER: [job.record]}


def test_a_package_that_was_handed_out_concerns_whoever_has_its_keys(world):
    job = world.recorded()
    record(
        event=Event.RECORD_HANDED_OUT,
        public={
            "job": str(job.uuid),
            "request": str(job.request_uuid),
            "institution": REQUESTER,
            "role": "operator",
            "ground": "order 4 O 12/26",
        },
    )
    erase(world)
    assert told(world) == {REQUESTER: [job.record]}


def test_the_log_says_who_was_told_and_of_what_only_in_commitments(world):
    job = world.recorded()
    dossiers.hand_out(number=job.record, role="node", reader="zurich")
    destroyed = erase(world)
    (entry,) = ledger.entries(event=Event.HOLDER_TOLD)
    assert entry.public == {"institution": "zurich", "destroyed": destroyed.record_number}
    assert ledger.private_fields(entry) == {"records": [job.record]}
    assert destroyed.public == {"ground": "objection"}


def test_nobody_is_told_where_nothing_was_given(world):
    world.recorded()
    erase(world)
    assert not ErasureNotice.objects.exists()
    assert not Notification.objects.filter(notice=Notice.SUBJECT_ERASED).exists()


def test_a_duty_to_keep_leaves_everything_as_it_is_and_tells_nobody(world):
    job = world.recorded()
    dossiers.hand_out(number=job.record, role="node", reader="zurich")
    retention.set_rule(institution=REQUESTER, days=3650, exemption=Exemption.RESEARCH, law="§ 630f BGB", study=STUDY)
    with pytest.raises(Refused) as caught:
        erase(world)
    assert caught.value.reason is Reason.RETENTION_DUTY
    assert "§ 630f BGB (GDPR Article 17(3)(d))" in caught.value.detail
    assert job.results.exclude(sealed="").exists()
    assert not ErasureNotice.objects.exists()
