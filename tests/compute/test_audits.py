"""An audit at the coordinator: asked for without a share, decided by the same check, computed by itself, recorded in
one entry, and released to whoever asked. And the whole of it, by real nodes and engines."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from compute import selectors
from compute.models import SealedInput
from compute.services import jobs, results
from concordat import model, ring
from concordat.audit_plan import AuditPlan
from concordat.canonical import digest
from concordat.events import Event
from concordat.figures import open_counts
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.receipt import check_receipts
from concordat.states import JobState
from governance.models import ProtocolVersion
from governance.services import recalls
from governance.states import StudyState
from ledger.models import LogEntry
from ledger.selectors import document, entry
from tests.support.at_work import step
from tests.support.audited import people, write_table
from tests.support.consortium import DEALER, NODES, OWNER, PARTIES, REQUESTER, Consortium, new_uuid
from tests.support.triggers import without_rules


def refused(call, *arguments, **options):
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)
    return caught.value.reason


@pytest.fixture(scope="module")
def consortium_of_services(tmp_path_factory, _state) -> Consortium:
    key = Keystore(_state / "keys").identity
    return Consortium(tmp_path_factory.mktemp("audited"), coordinator=key, ground="care", many="audit")


def events():
    wanted = (Event.VERDICT, Event.JOB_RESERVED, Event.AUDIT_RECORDED, Event.RESULT_WITHHELD, Event.JOB_ENDED)
    return list(LogEntry.objects.filter(event__in=wanted).order_by("index").values_list("event", flat=True))


def test_it_is_authorised_by_the_same_check_and_nothing_is_handed_in(world):
    job = world.ask()
    assert job.job_state is JobState.AUTHORISED
    assert not SealedInput.objects.exists()
    checks = {each["name"]: each["sentence"] for each in selectors.checks(job)}
    assert "definition is one to audit" in checks["kind"]
    assert "bring their own rows" in checks["shares"]


@pytest.mark.parametrize(
    ("ground", "reason"), [("waiver", Reason.FINDING_MISSING), ("exempt", Reason.LEGAL_BASIS_MISSING)]
)
def test_what_the_ground_of_an_institution_that_brings_rows_asks_for_has_to_be_there_too(world, ground, reason):
    version = world.study.in_force
    bases = [
        basis | ({"ground": ground} if basis["institution"] == "budapest" else {}) for basis in version.content["bases"]
    ]
    with without_rules(ProtocolVersion):
        ProtocolVersion.objects.filter(pk=version.pk).update(content=version.content | {"bases": bases})
    job = world.ask()
    assert (job.job_state, job.reason) == (JobState.REFUSED, reason)
    assert "board of budapest" in {each["name"]: each["sentence"] for each in selectors.checks(job)}["legal-basis"]


def test_none_is_authorised_of_a_model_that_was_recalled(world):
    recalls.recall(institution=world.bodies[OWNER], token=world.consortium.recall())
    job = world.ask()
    assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.MODEL_RECALLED)


def test_it_is_recorded_in_one_entry_that_names_nobody(world):
    job = world.recorded()
    assert job.job_state is JobState.RECORDED
    assert events() == [Event.VERDICT, Event.JOB_RESERVED, Event.AUDIT_RECORDED]
    recorded = entry(job.prediction_entry)
    assert (recorded.event, job.explanation_entry) == (Event.AUDIT_RECORDED, None)
    assert recorded.public["design"] == digest(world.consortium.design)
    assert (recorded.public["rounds"], recorded.public["bytes"]) == (4, 400)
    assert document(recorded.documents["ticket"]).decode() == job.ticket


def test_who_asked_is_given_every_share(world):
    job = world.recorded()
    released = results.release(job=job, by=world.bodies[REQUESTER])
    assert [each.node for each in released.outputs] == NODES
    assert [bool(each.sealed) for each in released.outputs] == [True, True, True, False]
    assert refused(results.release, job=job, by=world.bodies["zurich"]) is Reason.WRONG_INSTITUTION


def test_predictions_and_audits_are_told_apart(world):
    job = world.ask()
    own = world.bodies[REQUESTER]
    assert [each.pk for each in selectors.jobs_of(own, "audit")] == [job.pk]
    assert not selectors.jobs_of(own).exists()
    assert refused(selectors.job_of, own, job.uuid) is Reason.NOT_FOUND
    prepared = world.consortium.prepare()
    arguments = {"request": prepared.token, "sealed": {}, "idempotency_key": new_uuid(), "by": own}
    assert refused(jobs.request_prediction, **arguments) is Reason.KIND_NOT_ALLOWED


def test_the_same_again_under_its_key_is_the_same_audit(world):
    prepared = world.consortium.prepare()
    first, again = (world.ask(prepared, key="once") for _ in range(2))
    assert first.pk == again.pk
    assert refused(world.ask, key="once") is Reason.CONFLICT


def test_audits_are_computed_one_by_one_with_randomness_of_their_own(world):
    first, second = world.ask(), world.ask()
    first = world.dispatched(first)
    second.refresh_from_db()
    assert not second.ticket
    ticket = world.ticket(first)
    assert (ticket["ahead"], ticket["runs"]) == ([], {"first": 0, "of": 1})


@pytest.mark.parametrize("slug", PARTIES)
def test_a_receipt_that_commits_to_no_counts_withholds_the_result(world, slug):
    job = world.computing()
    for node in NODES:
        changes = {"counts": ""} if node == slug else {}
        job = world.result(job, node, world.receipt(job, node, **changes))
    assert (job.job_state, job.reason) == (JobState.WITHHELD, Reason.RECEIPTS_DISAGREE)


def test_a_study_that_was_suspended_meanwhile_withholds_it(world):
    job = world.computing()
    world.study.epoch += 1
    world.study.state = StudyState.SUSPENDED
    world.study.save()
    for slug in NODES:
        job = world.result(job, slug)
    assert (job.job_state, job.reason) == (JobState.WITHHELD, Reason.RESULT_WITHHELD)
    assert refused(results.release, job=job, by=world.bodies[REQUESTER]) is Reason.RESULT_WITHHELD


def test_it_can_be_taken_back(world):
    job = jobs.cancel(job=world.ask(), by=world.bodies[REQUESTER])
    assert job.job_state is JobState.CANCELLED
    assert refused(jobs.cancel, job=world.ask(), by=world.bodies["zurich"]) is Reason.WRONG_INSTITUTION


def test_an_institution_that_is_no_requester_asks_for_none(world):
    prepared = world.consortium.prepare(requester="zurich", key=world.consortium.identity("zurich"))
    assert refused(world.ask, prepared, by="zurich") is Reason.ROLE_MISSING


class TestByRealNodes:
    """Everything but the broker is real: three institutions' tables, their nodes and engines, the REST interface."""

    @pytest.fixture
    def cohorts(self, world):
        """By party, its people; each has a table of them, and a policy that allows the audit."""
        found = {party: people(20 + place, seed=place) for place, party in enumerate(PARTIES)}
        for party, rows in found.items():
            home = world.consortium.homes[party]
            write_table(home.directory / "data.csv", rows)
            world.consortium.write_policy(party, grounds=["care"], audits=[world.definition.digest])
        world.consortium.write_policy(DEALER, grounds=["care"])
        yield found
        for party in PARTIES:
            (world.consortium.homes[party].directory / "data.csv").unlink(missing_ok=True)
            for leftover in world.consortium.homes[party].directory.glob("state.sqlite3*"):
                leftover.unlink()

    @pytest.fixture
    def done(self, world, nodes, cohorts):
        """The request, and its job when it is recorded."""
        prepared = world.consortium.prepare()
        job = world.ask(prepared)
        for state in (JobState.RESERVED, JobState.RECORDED):
            step(world, nodes, job)
            assert job.job_state is state, job.why
        return prepared, job

    def test_what_one_audit_made(self, world, nodes, cohorts, done, subtests):
        """One audit takes seconds: each of these looks at it."""
        for look, given in (
            (self.the_counts_are_those_of_the_plaintext, [cohorts, done]),
            (self.nobody_keeps_a_row_and_each_institution_an_account_of_what_it_brought, [cohorts, done]),
            (self.rows_are_brought_to_the_next_audit_when_the_policy_s_days_are_over, [nodes]),
        ):
            with subtests.test(look.__name__):
                look(world, *given)

    def the_counts_are_those_of_the_plaintext(self, world, cohorts, done):
        prepared, job = done
        made = world.consortium
        released = results.release(job=job, by=world.bodies[REQUESTER])
        receipts = check_receipts(
            [output.receipt for output in released.outputs],
            made.homes["cleveland"].pins.keyring,
            request=prepared.digest,
            definition=made.definition,
        )
        plan = AuditPlan.from_json(made.design)
        opened = open_counts(
            {output.node: output.sealed for output in released.outputs if output.sealed},
            receipts,
            plan,
            smallest=made.definition["minimum_cell"],
            key=prepared.output_key,
        )
        exact = np.zeros(plan.shape, dtype=np.int64)
        for rows in cohorts.values():
            encoded = plan.encode(made.schema, rows)
            log_odds = model.forward(made.kind, made.tensors, ring.decode(encoded.records))
            exact += plan.count(1 / (1 + np.exp(-log_odds)), encoded)
        assert exact.sum() == sum(row.values["sex"] is not None for rows in cohorts.values() for row in rows)
        assert (opened.least == np.where(exact >= 5, exact, 0)).all()
        assert 0 < opened.suppressed < plan.cells
        assert {receipt["rounds"] for receipt in receipts.values() if receipt["role"] == "party"} == {14}

    def nobody_keeps_a_row_and_each_institution_an_account_of_what_it_brought(self, world, cohorts, done):
        _, job = done
        assert not SealedInput.objects.exists()
        for party in PARTIES:
            home = world.consortium.homes[party]
            with closing(sqlite3.connect(home.state)) as state:
                ((named, definition, requester, rows, salt, counted, left_out),) = state.execute(
                    "SELECT job, definition, requester, rows, salt, counted, left_out FROM brought WHERE job = ?",
                    (str(job.uuid),),
                ).fetchall()
                tables = {name for (name,) in state.execute("SELECT name FROM sqlite_master")}
                tapes = state.execute("SELECT count(*) FROM tapes").fetchone()[0] if "tapes" in tables else 0
            assert (named, definition, requester) == (str(job.uuid), world.definition.digest, REQUESTER)
            assert (counted, left_out, tapes) == (len(cohorts[party]), "{}", 0)
            encoded = AuditPlan.from_json(world.consortium.design).encode(world.consortium.schema, cohorts[party])
            assert rows == digest(salt + ring.to_bytes(encoded.records) + ring.to_bytes(encoded.members))

    def test_an_institution_whose_policy_does_not_name_it_brings_nothing(self, world, nodes, cohorts):
        world.consortium.write_policy("budapest", grounds=["care"])
        job = step(world, nodes, world.ask())
        assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.POLICY_REFUSES)

    def test_a_table_that_cannot_be_used_is_refused_before_anybody_waits(self, world, nodes, cohorts, subtests):
        table = world.consortium.homes["zurich"].directory / "data.csv"
        good = table.read_bytes()
        spoilt = [
            (lambda: table.chmod(0o644), Reason.KEYSTORE_UNSAFE),
            (lambda: table.write_text("age,sex\n63,Male\n"), Reason.FEATURE_MISSING),
            (lambda: table.write_bytes(good.replace(b"age", b"\xe4ge", 1)), Reason.HOME_INCOMPLETE),
            (lambda: table.write_bytes(good.replace(b"age,", b"age,age,", 1)), Reason.FIELD_INVALID),
            (lambda: table.unlink(), Reason.HOME_INCOMPLETE),
        ]
        for spoil, reason in spoilt:
            with subtests.test(reason.value):
                table.write_bytes(good)
                table.chmod(0o600)
                spoil()
                job = step(world, nodes, world.ask())
                assert (job.job_state, job.reason) == (JobState.REFUSED, reason)
                assert job.detail == "Refused by zurich."

    def rows_are_brought_to_the_next_audit_when_the_policy_s_days_are_over(self, world, nodes):
        job = step(world, nodes, world.ask())
        assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.POLICY_REFUSES)
        for party in PARTIES:
            changes = {"grounds": ["care"], "audits": [world.definition.digest], "cohort_days": 0}
            world.consortium.write_policy(party, **changes)
        assert step(world, nodes, world.ask()).job_state is JobState.RESERVED

    def test_an_audit_that_opened_nothing_does_not_stand_in_the_way_of_the_next(self, world, nodes, cohorts):
        job = world.ask()
        assert step(world, nodes, job).job_state is JobState.RESERVED
        table = world.consortium.homes["zurich"].directory / "data.csv"
        table.unlink()
        assert step(world, nodes, job).job_state is JobState.FAILED
        with closing(sqlite3.connect(world.consortium.homes["cleveland"].state)) as state:
            assert state.execute("SELECT job FROM brought").fetchall() == [(str(job.uuid),)]
        write_table(table, cohorts["zurich"])
        assert step(world, nodes, world.ask()).job_state is JobState.RESERVED
