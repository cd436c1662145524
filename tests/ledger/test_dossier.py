"""Building a dossier from the log, and what stays true of it after erasure, withdrawal and on a chain."""

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from concordat import canonical
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.verifier import Options, bundle, verify
from concordat.verifier.__main__ import main
from concordat.verifier.examine import Status, summary
from ledger import dossier, selectors, tasks
from ledger.dossier import collect
from ledger.models import Anchor, LogEntry
from ledger.services import anchoring, dossiers
from ledger.services.publish import publish
from ledger.services.record import Draft, record, record_all
from ledger.services.subjects import destroy
from tests.support.consortium import NODES, STUDY, Consortium, new_uuid
from tests.support.decision import SETTINGS, Decision
from tests.support.witnesses import witness

pytestmark = pytest.mark.django_db

REQUEST = ("request_statement", "consent")


@pytest.fixture
def as_decided(settings):
    for name, value in SETTINGS.items():
        setattr(settings, name, value)


@pytest.fixture
def decision(tmp_path, as_decided):
    made = Decision.make(tmp_path)
    publish()
    return made


def check(result, name):
    return next(each for each in result.checks if each.name == name)


def test_equal_logs_give_equal_bytes(decision):
    assert dossier.build(decision.index) == dossier.build(decision.index)


def test_it_holds_the_decision_and_nothing_of_others(decision, write):
    write(2)
    publish()
    files = bundle.unpack(dossier.build(decision.index))
    held = {int(path[8:-5]) for path in files if path.startswith("entries/")}
    assert held == {entry.index for entry in decision.entries.values()}


def test_nothing_private_is_opened_unless_the_reader_may_see_it(decision):
    files = bundle.unpack(dossier.build(decision.index))
    assert canonical.decode(files["openings.json"])["opened"] == {}
    assert not any(decision.consortium.subject.encode() in content for content in files.values())
    result = verify(dossier.build(decision.index))
    assert result.holds
    assert check(result, "request").reason is Reason.NOT_DISCLOSED


def test_the_requesters_disclosure_opens_the_request_as_well(decision):
    disclosed = canonical.encode(decision.disclosure)
    result = verify(dossier.build(decision.index), Options(disclosure=disclosed))
    assert result.holds
    assert check(result, "request").status is check(result, "consent").status is Status.PASSED


def test_after_erasure_everything_but_the_persons_part_still_verifies(decision):
    before = verify(dossier.build(decision.index, disclose=REQUEST))
    assert check(before, "consent").status is Status.PASSED
    destroy(institution="long-beach", subject=decision.subject, ground="request of the person")
    publish()
    after = verify(dossier.build(decision.index, disclose=REQUEST))
    assert after.holds
    assert check(after, "consent").reason is check(after, "request").reason is Reason.ERASED
    for name in ("inclusion", "documents", "officers", "approvals", "receipts", "verdict"):
        assert check(after, name).status is Status.PASSED


def test_after_erasure_the_requesters_disclosure_still_shows_the_consent(decision):
    destroy(institution="long-beach", subject=decision.subject, ground="request of the person")
    publish()
    result = verify(dossier.build(decision.index), Options(disclosure=canonical.encode(decision.disclosure)))
    assert result.holds
    assert check(result, "consent").status is Status.PASSED


def test_erasure_does_not_hide_that_consent_had_been_withdrawn(tmp_path, as_decided):
    made = Decision(Consortium(tmp_path, coordinator=Keystore(settings.KEYS_DIR).identity))
    for step in (made.enrol, made.approve, made.define, made.consent, made.withdraw, made.compute):
        step()
    destroy(institution="long-beach", subject=made.subject, ground="request of the person")
    publish()
    result = verify(dossier.build(made.index), Options(disclosure=canonical.encode(made.disclosure)))
    assert check(result, "consent").reason is Reason.CONSENT_WITHDRAWN


def test_a_later_withdrawal_is_told_and_does_not_undo_the_decision(decision):
    decision.withdraw()
    publish()
    result = verify(dossier.build(decision.index, disclose=REQUEST))
    assert result.holds
    assert "withdrawn later" in check(result, "consent since").sentence
    assert Event.CONSENT_WITHDRAWN in {event["event"] for event in result.story["since"]}


def test_a_revoked_approval_is_told_too(decision):
    decision.vote(decision.consortium.vote("zurich", approve=False, nonce=1))
    publish()
    result = verify(dossier.build(decision.index))
    assert result.holds
    assert {"institution": "zurich", "approve": True} in result.story["allowed"]["votes"]
    assert Event.DEFINITION_VOTED in {event["event"] for event in result.story["since"]}


def others(decision, count):
    """Entries that name the study, the definition and an institution of the decision, and are about others."""
    about = {"study": STUDY, "definition": canonical.digest(decision.consortium.definition)}
    refused = {"authorised": False, "reasons": [], "epoch": 1}
    with transaction.atomic():
        for institution in ("zurich", "long-beach"):
            given = {"study": STUDY, "institution": institution, "epoch": 1}
            record_all(
                [Draft(event=Event.CONSENT_WITHDRAWN, public=given | {"consent": new_uuid()}) for _ in range(count)]
            )
        record_all([Draft(event=Event.VERDICT, public=about | refused | {"request": new_uuid()}) for _ in range(count)])
    publish()


def test_what_is_asked_of_the_database_depends_neither_on_the_log_nor_on_the_dossier(decision):
    """Fifty queries at most, whatever there is of what a dossier holds."""
    number = decision.entries["prediction"].record_number
    asked = {"number": number, "role": "operator", "reader": "one", "disclose": REQUEST}
    dossiers.hand_out(**asked)
    with CaptureQueriesContext(connection) as first:
        small = dossiers.hand_out(**asked)
    others(decision, 300)
    for step in range(5):
        decision.vote(decision.consortium.vote("zurich", approve=step % 2 == 0, nonce=step + 1))
        decision.roster("zurich", decision.boards.roster("zurich"), version=step + 2)
        decision.override()
    publish()
    for slug in NODES:
        witness(decision.consortium.homes[slug]).cosign()
    dossiers.hand_out(**asked)
    with CaptureQueriesContext(connection) as second:
        large = dossiers.hand_out(**asked)
    held = [sum(path.startswith("entries/") for path in bundle.unpack(data)) for data in (small, large)]
    assert held[1] >= held[0] + 15
    assert len(second) - len(first) <= 4  # a witnessed head, and a second level of tiles
    assert len(second) <= 50


def test_of_a_log_in_which_everything_names_the_study_few_entries_are_read(decision):
    before = {entry.index for entry in collect.entries(decision.entries["prediction"])}
    others(decision, 300)
    read = []

    def counting(execute, sql, parameters, many, context):
        cursor = execute(sql, parameters, many, context)
        if "ledger_logentry" in sql and sql.lstrip("(").startswith("SELECT"):
            read.append(sql)
        return cursor

    with connection.execute_wrapper(counting):
        found = collect.entries(decision.entries["prediction"])
    assert {entry.index for entry in found} == before
    assert len(read) == 3


def steps(decision):
    """How often SQLite took a hundred steps to find the decision's entries; it has no statistics to go by."""
    ticks = []
    connection.connection.set_progress_handler(lambda: ticks.append(1), 100)
    try:
        collect.entries(decision.entries["prediction"])
    finally:
        connection.connection.set_progress_handler(None, 100)
    return len(ticks)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the steps of SQLite")
def test_a_longer_log_takes_hardly_more_steps(decision):
    others(decision, 100)
    before = steps(decision)
    others(decision, 1000)  # of each of three kinds, which name what the decision names
    assert 0 < before <= steps(decision) <= 1.2 * before


def test_only_decisions_have_dossiers(decision):
    for index in (0, 10_000):
        with pytest.raises(Refused) as refused:
            dossier.build(index)
        assert refused.value.reason is Reason.NOT_FOUND


def test_it_tells_that_the_study_was_closed_and_that_the_owner_disclosed(decision):
    name = canonical.digest(decision.consortium.manifest)
    said = {"model": name, "institution": "cleveland", "study": STUDY}
    ended = {"study": STUDY, "institution": "cleveland", "epoch": 9}
    new = [
        record(event=Event.DISCLOSURE_SIGNED, public=said, documents={"disclosure": "e30.e30.e30"}),
        record(event=Event.STUDY_CLOSED, public=ended, private={"ground": "It is done."}),
    ]
    record(event=Event.DISCLOSURE_SIGNED, public=said | {"study": "another"}, documents={"disclosure": "e30.e30.e30"})
    found = collect.entries(decision.entries["prediction"])
    assert {entry.index for entry in found} == {entry.index for entry in [*decision.entries.values(), *new]}


def test_the_log_is_free_again_while_the_bundle_is_built(decision, monkeypatch):
    number, depth = decision.entries["prediction"].record_number, len(connection.savepoint_ids)
    monkeypatch.setattr(dossier, "build", lambda *_, **__: len(connection.savepoint_ids))
    assert dossiers.hand_out(number=number, role="operator", reader="officer-7") == depth


def test_who_read_it_is_in_the_log(decision):
    number = decision.entries["prediction"].record_number
    data = dossiers.hand_out(
        number=number, role="legal-reviewer", reader="officer-7", institution="zurich", disclose={*REQUEST, "display"}
    )
    assert verify(data).holds
    entry = LogEntry.objects.last()
    assert (entry.event, entry.public["role"]) == (Event.DOSSIER_READ, "legal-reviewer")
    assert b"officer-7" not in bytes(entry.leaf)
    opened = canonical.decode(bundle.unpack(data)["openings.json"])["opened"]
    assert selectors.private_fields(entry) == {
        "reader": "officer-7",
        "institution": "zurich",
        "opened": sorted({field for fields in opened.values() for field in fields}),
    }


def test_the_command_writes_a_bundle_that_verifies(decision, tmp_path, capsys):
    file = tmp_path / "dossier.zip"
    call_command("dossier", decision.entries["prediction"].record_number, str(file), "--disclose", "request_statement")
    assert main([str(file)]) == 0


def test_with_chain_keys_disclosure_and_witnesses_every_check_passes(anchored, settings):
    for slug in NODES:
        witness(anchored.consortium.homes[slug]).cosign()
    data = dossier.build(anchored.index, disclose=(*REQUEST, "display"))
    assert len(canonical.decode(bundle.unpack(data)["anchors.json"])) == 2
    trusted = {slug: home.keys.identity.kid for slug, home in anchored.consortium.homes.items()}
    trusted["log"] = anchored.consortium.coordinator.kid
    disclosed = canonical.encode(anchored.disclosure)
    result = verify(data, Options(keys=trusted, rpc=settings.CHAIN_RPC, disclosure=disclosed))
    assert [each.name for each in result.checks if each.status is not Status.PASSED] == ["time"]  # no authority here
    assert "self-hosted" in check(result, "chain anchor").sentence


def test_an_anchor_that_the_chain_does_not_have_is_noticed(anchored, settings):
    files = bundle.unpack(dossier.build(anchored.index))
    evidence = {path: files[path] for path in files if not path.startswith(("manifest", "dossier"))}
    anchors = canonical.decode(evidence["anchors.json"])
    anchors[0]["block"] += 1
    evidence["anchors.json"] = canonical.encode(anchors)
    forged = bundle.sealed(evidence | summary(evidence), anchored.consortium.coordinator)
    assert verify(forged).holds
    found = verify(forged, Options(rpc=settings.CHAIN_RPC))
    assert check(found, "chain anchor").reason is Reason.ANCHOR_MISMATCH


def test_approvals_that_the_registry_does_not_know_are_noticed(anchored, settings, write):
    ask = Options(rpc=settings.CHAIN_RPC)
    assert check(verify(dossier.build(anchored.index), ask), "chain approvals").status is Status.PASSED
    revoked = [anchored.consortium.vote(slug, approve=False, nonce=1) for slug in ("zurich", "budapest")]
    for vote in revoked:
        anchoring.queue_vote(vote)
    tasks.anchor()
    write()
    publish()
    tasks.anchor()
    Anchor.objects.filter(sequence__lt=3).delete()  # as if the decision had been anchored only after the revocations
    found = check(verify(dossier.build(anchored.index), ask), "chain approvals")
    assert (found.status, found.reason) == (Status.FAILED, Reason.QUORUM_MISSING)
    anchored.vote(revoked[0])
    publish()
    told = check(verify(dossier.build(anchored.index), ask), "chain approvals")
    assert (told.status, told.reason) == (Status.NOT_CHECKABLE, Reason.QUORUM_MISSING)
