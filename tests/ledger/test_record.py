"""Recording: one gapless log, in the transaction of what is recorded, with nothing personal in the open."""

from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from concordat import canonical, commitments, merkle
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger import selectors, vault
from ledger.models import Document, LogEntry, LogHead, Payload
from ledger.services.record import Draft, record, record_all
from ledger.services.subjects import destroy

pytestmark = pytest.mark.django_db


def give_consent(about, **private):
    public = {"study": "chest-pain", "institution": "long-beach", "consent": str(uuid4())}
    return record(event=Event.CONSENT_GIVEN, public=public, private=private, subject=about)


def test_entries_are_numbered_without_gaps(write):
    assert [entry.index for entry in write(5) + write(3)] == list(range(8))
    assert LogHead.objects.get().size == 8


def test_recording_belongs_into_a_transaction(committed):
    with pytest.raises(transaction.TransactionManagementError):
        record(event=Event.KEY_DESTROYED, public={"ground": "request"})


def test_a_deed_that_is_rolled_back_leaves_no_entry_and_no_gap(write):
    write(2)
    with transaction.atomic():
        record(event=Event.KEY_DESTROYED, public={"ground": "undone"})
        transaction.set_rollback(True)
    assert write()[0].index == 2


def test_the_leaf_is_canonical_and_its_hash_is_rfc_9162s(write):
    entry = write()[0]
    assert canonical.encode(canonical.decode(entry.leaf)) == entry.leaf
    assert entry.leaf_hash == merkle.leaf_hash(entry.leaf)
    assert entry.content["v"] == 1
    assert entry.content["id"] == str(entry.uuid)


@pytest.mark.parametrize(
    ("part", "given"),
    [
        ("public", {"public": {"name": "Ada"}}),
        ("private", {"public": {}, "private": {"name": "Ada"}}),
        ("documents", {"public": {}, "documents": {"name": {}}}),
    ],
)
def test_a_field_that_the_event_does_not_have_is_refused_by_name(part, given):
    with pytest.raises(Refused) as refused:
        record(event=Event.CONSENT_GIVEN, **given)
    assert (refused.value.reason, refused.value.field) == (Reason.FIELD_UNKNOWN, f"{part}.name")
    assert not LogEntry.objects.exists()


def test_private_fields_are_in_the_leaf_as_salted_commitments_only():
    subject = uuid4()
    entry = give_consent(subject, subject=str(subject), statement="a.signed.statement")
    assert str(subject).encode() not in bytes(entry.leaf)
    assert b"statement" not in bytes(entry.payload.sealed)
    key, fields = vault.unseal(entry)
    assert fields == {"subject": str(subject), "statement": "a.signed.statement"}
    for field, value in fields.items():
        salt = vault.salt(key, field)
        assert commitments.open_commitment(entry.commitments[field], commitments.FIELD, salt, canonical.encode(value))


def test_equal_values_have_unequal_commitments():
    subject = uuid4()
    first, second = (give_consent(subject, statement="the same") for _ in range(2))
    assert first.commitments["statement"] != second.commitments["statement"]


def test_a_payload_opens_for_its_own_entry_only():
    subject = uuid4()
    first, second = (give_consent(subject, statement=text) for text in ("one", "two"))
    other = bytes(second.payload.sealed)
    Payload.objects.filter(entry=first).update(sealed=other)
    with pytest.raises(Refused) as refused:
        selectors.private_fields(LogEntry.objects.get(index=first.index))
    assert refused.value.reason is Reason.ENTRY_ALTERED


def test_nothing_is_recorded_about_an_erased_subject():
    subject = uuid4()
    give_consent(subject, statement="x")
    destroy(institution="long-beach", subject=subject, ground="request of the person")
    with pytest.raises(Refused) as refused:
        give_consent(subject, statement="y")
    assert refused.value.reason is Reason.ERASED


def test_documents_are_kept_once_under_the_digest_of_their_bytes():
    public = {"study": "chest-pain"}
    documents = {"definition": {"b": 1, "a": [2]}, "disclosure": "a.jws.token"}
    for _ in range(2):
        entry = record(event=Event.DEFINITION_REGISTERED, public=public, documents=documents)
    assert Document.objects.count() == 2
    assert selectors.document(entry.documents["definition"]) == b'{"a":[2],"b":1}'
    assert selectors.document(entry.documents["disclosure"]) == b"a.jws.token"


def test_entries_are_found_by_their_public_fields():
    record(event=Event.STUDY_SUBMITTED, public={"study": "one", "institution": "zurich"})
    wanted = record(event=Event.STUDY_APPROVED, public={"study": "one"})
    record(event=Event.STUDY_APPROVED, public={"study": "two"})
    assert list(selectors.entries(event=Event.STUDY_APPROVED, study="one")) == [wanted]
    assert selectors.entries(study="one").count() == 2
    with pytest.raises(ValueError, match="found by"):
        selectors.entries(determination="approved")


@pytest.fixture
def keys(settings, tmp_path):
    """A key folder of its own, which the command makes."""
    settings.KEYS_DIR = tmp_path / "keys"
    call_command("create_keys", stdout=StringIO())
    return settings.KEYS_DIR


def refusal(call, *arguments, **options):
    with pytest.raises(Refused) as refused:
        call(*arguments, **options)
    return refused.value.reason


def test_the_master_key_is_readable_by_its_owner_alone(keys):
    give_consent(uuid4(), statement="x")
    file = keys / "master.key"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    assert refusal(give_consent, uuid4(), statement="x") is Reason.KEYSTORE_UNSAFE


def test_keys_are_made_by_the_command_alone_and_once(keys, settings, tmp_path):
    before = {file.name: file.read_bytes() for file in keys.iterdir()}
    assert set(before) == {"identity.pem", "chain.pem", "master.key"}
    call_command("create_keys", stdout=StringIO())
    assert {file.name: file.read_bytes() for file in keys.iterdir()} == before
    settings.KEYS_DIR = tmp_path / "nowhere"
    assert refusal(give_consent, uuid4(), statement="x") is Reason.KEYSTORE_UNSAFE
    assert not settings.KEYS_DIR.exists()


def test_a_lost_master_key_is_not_replaced_in_silence(keys):
    give_consent(uuid4(), statement="x")
    (keys / "master.key").unlink()
    assert refusal(give_consent, uuid4(), statement="x") is Reason.KEYSTORE_UNSAFE
    with pytest.raises(CommandError, match="restore it"):
        call_command("create_keys")
    assert not (keys / "master.key").exists()


def test_many_entries_at_once_are_the_same_as_one_after_the_other():
    subject = uuid4()
    given = {"study": "s", "institution": "zurich", "consent": str(uuid4())}
    drafts = [
        Draft(event=Event.CONSENT_GIVEN, public=given, private={"statement": f"{n}"}, subject=subject) for n in range(3)
    ]
    drafts.append(Draft(event=Event.ROSTER_PUBLISHED, public={"institution": "x"}, documents={"roster": "a token"}))
    with transaction.atomic():
        many = record_all(drafts)
    assert [entry.index for entry in many] == [0, 1, 2, 3]
    assert many == list(LogEntry.objects.all())
    for entry, kept in zip(many, LogEntry.objects.all(), strict=True):
        assert (entry.uuid, bytes(entry.leaf), entry.time) == (kept.uuid, bytes(kept.leaf), kept.time)
    assert [selectors.private_fields(entry) for entry in many[:3]] == [{"statement": f"{n}"} for n in range(3)]
    assert [entry.index for entry in selectors.entries(consent=given["consent"])] == [0, 1, 2]
    assert selectors.document(many[3].documents["roster"]) == b"a token"


def test_of_many_entries_none_is_recorded_if_one_is_refused():
    with pytest.raises(Refused), transaction.atomic():
        record_all(
            [Draft(event=Event.DOSSIER_READ, public={}), Draft(event=Event.DOSSIER_READ, public={"nonsense": 1})]
        )
    assert not LogEntry.objects.exists()


def test_an_entry_that_fits_no_bundle_is_refused():
    with pytest.raises(Refused) as caught, transaction.atomic():
        record(event=Event.DOSSIER_READ, public={"role": "x" * 65_536})
    assert caught.value.reason is Reason.TOO_LARGE
