"""The log's witnesses: whose cosignatures count, how many there are, and how long an anchor waits for them."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from compute.node.witness import Witness
from concordat import checkpoint, clock, cosignature, witness
from concordat.events import Event
from concordat.key_change import build_change
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey
from concordat.verifier import Options, verify
from concordat.verifier.examine import Status
from ledger import dossier, fsck, selectors, tasks, witnesses
from ledger.models import Anchor, ChainTransaction, Cosignature, LogEntry, SignedCheckpoint
from ledger.services import cosign
from ledger.services.publish import publish
from ledger.services.record import record
from tests.support.consortium import NODES, Consortium
from tests.support.decision import SETTINGS, Decision
from tests.support.witnesses import Direct
from tests.support.witnesses import witness as node

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def shared(tmp_path_factory, _state):
    from concordat.keystore import Keystore

    return Consortium(tmp_path_factory.mktemp("consortium"), coordinator=Keystore(_state / "keys").identity)


@pytest.fixture
def consortium(shared):
    yield shared
    for home in shared.homes.values():
        for leftover in home.directory.glob("state.sqlite3*"):
            leftover.unlink()


@pytest.fixture
def enrolled(consortium):
    """Five institutions, of which four have a node; their enrolments are the log's first entries."""
    with transaction.atomic():
        for slug, home in consortium.homes.items():
            public = {"institution": slug, "jurisdiction": "US"}
            record(event=Event.INSTITUTION_ENROLLED, public=public, documents={"enrolment": home.enrolment})
    return consortium


def refusal(call):
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason


def line(consortium, slug, head, *, key=None, time=None):
    name = cosignature.name_of("localhost/concordat", slug)
    return cosignature.cosign(head.body, key or consortium.identity(slug), name, time or clock.now())


def take(consortium, slug, head, by=None, **options):
    return cosign.take(size=head.size, lines=line(consortium, slug, head, **options), by=by or slug)


def test_institutions_with_a_node_are_witnesses_and_how_many_cosigned_is_said_exactly(enrolled):
    head = publish()
    assert witnesses.of(head.size).of == tuple(sorted(NODES))
    for count, slug in enumerate(NODES, start=1):
        assert node(enrolled.homes[slug]).cosign().size == head.size
        found = witnesses.witnessed(head)
        assert (len(found.cosigned), len(found.of), found.needed, found.enough) == (count, 4, 3, count >= 3)
    assert str(found) == "4 of 4 (3 needed)"


def test_the_published_note_carries_every_cosignature(enrolled):
    head = publish()
    for slug in ("zurich", "notary"):
        node(enrolled.homes[slug]).cosign()
    note = witnesses.note(head)
    assert note.startswith(head.note)
    keys = {slug: enrolled.identity(slug).public for slug in NODES}
    assert set(cosignature.verify(note, keys, origin="localhost/concordat")) == {"zurich", "notary"}
    assert checkpoint.verify(note, {"localhost/concordat": enrolled.coordinator.public}).size == head.size


def test_what_a_witness_is_asked_is_the_specification_s_call(enrolled, write):
    publish()
    write(7)
    latest = publish()
    call = witness.read(cosign.call(5))
    assert (call.old, call.note) == (5, latest.note)
    seen = witness.Seen(5, bytes(SignedCheckpoint.objects.get(size=5).root))
    keys = {"localhost/concordat": enrolled.coordinator.public}
    assert witness.check(call, seen, origin="localhost/concordat", keys=keys).size == 12
    assert witness.read(cosign.call(0)).proof == witness.read(cosign.call(99)).proof == ()


def test_without_a_head_there_is_nothing_to_cosign(consortium):
    assert refusal(node(consortium.homes["zurich"]).cosign) is Reason.NOT_FOUND


def test_the_same_cosignature_again_is_kept_once(enrolled):
    head = publish()
    first = take(enrolled, "zurich", head, time=clock.now() - timedelta(minutes=1))
    assert take(enrolled, "zurich", head) == first
    assert Cosignature.objects.count() == 1


@pytest.mark.parametrize(
    ("slug", "options", "reason"),
    [
        ("zurich", {"by": "notary"}, Reason.KEY_UNKNOWN),
        ("zurich", {"key": SigningKey.generate()}, Reason.KEY_UNKNOWN),
        ("long-beach", {}, Reason.KEY_UNKNOWN),
        ("zurich", {"time": clock.now() + timedelta(hours=1)}, Reason.FIELD_INVALID),
    ],
)
def test_another_s_cosignature_and_one_from_the_future_are_refused(enrolled, slug, options, reason):
    head = publish()
    assert refusal(lambda: take(enrolled, slug, head, **options)) is reason
    assert not Cosignature.objects.exists()


def test_a_cosignature_of_another_head_is_refused(enrolled, write):
    first = publish()
    write()
    second = publish()
    lines = line(enrolled, "zurich", first)
    assert refusal(lambda: cosign.take(size=second.size, lines=lines, by="zurich")) is Reason.COSIGNATURE_INVALID
    assert refusal(lambda: cosign.take(size=99, lines=lines, by="zurich")) is Reason.NOT_FOUND
    assert refusal(lambda: cosign.take(size=first.size, lines="nonsense\n", by="zurich")) is Reason.CHECKPOINT_INVALID


def test_cosignatures_are_neither_changed_nor_removed(enrolled):
    take(enrolled, "zurich", publish())
    for change in (lambda: Cosignature.objects.update(witness="notary"), lambda: Cosignature.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


@pytest.fixture
def successor():
    return SigningKey.generate()


def rotate(consortium, slug, successor, ground="rotation"):
    history = consortium.homes[slug].pins.histories[slug]
    change = build_change(
        history,
        kind="identity",
        key=successor.public.b64,
        ground=ground,
        issued=clock.now(),
        offline=consortium.homes[slug].keys.offline,
        successor=successor,
    )
    public = {"institution": slug, "kind": "identity", "ground": ground, "sequence": 1}
    with transaction.atomic():
        record(event=Event.KEY_CHANGED, public=public, documents={"change": change})


def test_after_a_rotation_the_new_key_counts_from_the_head_that_holds_it(enrolled, successor):
    before = publish()
    take(enrolled, "zurich", before)
    rotate(enrolled, "zurich", successor)
    after = publish()
    assert refusal(lambda: take(enrolled, "zurich", after)) is Reason.KEY_UNKNOWN
    take(enrolled, "zurich", after, key=successor)
    assert [witnesses.witnessed(head).cosigned for head in (before, after)] == [("zurich",)] * 2


def test_what_a_compromised_key_cosigned_counts_no_more(enrolled, successor):
    head = publish()
    take(enrolled, "zurich", head)
    rotate(enrolled, "zurich", successor, ground="compromise")
    found = witnesses.witnessed(head)
    assert (found.cosigned, found.of) == ((), ("budapest", "cleveland", "notary", "zurich"))
    assert witnesses.note(head) == head.note


def test_fsck_finds_a_cosignature_that_is_another_head_s(enrolled, write, unprotected):
    head = publish()
    take(enrolled, "zurich", head)
    assert fsck.fsck().divergence is None
    write()
    Cosignature.objects.update(line=line(enrolled, "zurich", publish()))
    found = fsck.fsck().divergence
    assert found.reason is Reason.COSIGNATURE_INVALID
    assert found.place == f"cosignature of zurich under {head.size} entries"


# --- anchors


@pytest.fixture
def waiting(enrolled, contracts, settings):
    settings.WITNESS_SECONDS = 60
    head = publish()
    tasks.anchor()
    return head


def state():
    return Anchor.objects.get().transaction.state


def test_an_anchor_waits_until_enough_have_cosigned(enrolled, waiting):
    assert state() == "queued"
    for slug in NODES[:3]:
        node(enrolled.homes[slug]).cosign()
    tasks.anchor()
    assert selectors.status(0) is selectors.EntryStatus.FINAL


def test_it_waits_for_some_seconds_and_then_goes_on_without_them(waiting, settings):
    ChainTransaction.objects.update(created=clock.now() - timedelta(seconds=61))
    tasks.anchor()
    assert state() == "final"


def test_where_nobody_has_a_node_it_waits_for_nobody(contracts, settings, write):
    settings.WITNESS_SECONDS = 60
    write()
    publish()
    tasks.anchor()
    assert state() == "final"


# --- dossiers


@pytest.fixture
def decision(consortium, settings):
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    made = Decision.of(consortium)
    publish()
    return made


def witnessed(decision, **options):
    result = verify(dossier.build(decision.index), Options(**options))
    found = next(each for each in result.checks if each.name == "witnesses")
    return result, found


def test_a_dossier_says_how_many_witnessed_and_by_how_many_that_is_too_few(decision):
    result, found = witnessed(decision)
    assert (found.status, found.reason, result.holds) == (Status.NOT_CHECKABLE, Reason.WITNESSES_MISSING, True)
    for slug in NODES[:2]:
        node(decision.consortium.homes[slug]).cosign()
    result, found = witnessed(decision)
    assert (found.status, found.reason, result.holds) == (Status.NOT_CHECKABLE, Reason.WITNESSES_TOO_FEW, True)
    assert found.sentence.startswith("2 of 4 witnesses (budapest, cleveland) cosigned the head of ")
    assert result.story["trust"]["witnesses"]["needed"] == 3
    node(decision.consortium.homes["zurich"]).cosign()
    result, found = witnessed(decision)
    assert (found.status, found.reason) == (Status.PASSED, None)


def test_a_reader_may_insist_on_witnesses(decision):
    result, found = witnessed(decision, witnessed=True)
    assert (found.status, found.reason, result.holds) == (Status.FAILED, Reason.WITNESSES_MISSING, False)
    for slug in NODES[:3]:
        node(decision.consortium.homes[slug]).cosign()
    assert witnessed(decision, witnessed=True)[0].holds


def test_a_later_head_that_too_few_have_seen_does_not_hide_the_witnessed_one(decision, write):
    for slug in NODES[:3]:
        node(decision.consortium.homes[slug]).cosign()
    write(3)
    publish()
    node(decision.consortium.homes["zurich"]).cosign()
    _, found = witnessed(decision)
    assert found.status is Status.PASSED
    assert f"the head of {LogEntry.objects.count() - 3} entries" in found.sentence


def test_a_witness_that_stops_being_asked_is_no_obstacle_later(enrolled, write):
    publish()
    asked = Witness(enrolled.homes["zurich"], Direct("zurich"))
    asked.cosign()
    for _ in range(3):
        write(300)
        publish()
    assert asked.cosign().size == LogEntry.objects.count()
