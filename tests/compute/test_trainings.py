"""A training: the owner asks, every institution brings rows, the parties hold new weights that nobody knows, and the
owner imports them as a model of their own."""

from types import SimpleNamespace

import numpy as np
import pytest
from django.db import transaction

from compute.node.policy import check_brings
from compute.services import jobs, models, results
from concordat import clock, model, ring
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.legal_basis import Ground
from concordat.reasons import Reason, Refused
from concordat.receipt import check_receipts
from concordat.states import JobState
from concordat.training_plan import TrainingPlan
from governance.services import definitions, recalls
from ledger.selectors import entry
from tests.support.at_work import step
from tests.support.audited import people, write_table
from tests.support.consortium import DEALER, NODES, OWNER, PARTIES, REQUESTER, Consortium, new_uuid


def refused(call, *arguments, **options):
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)
    return caught.value.reason, caught.value.field


@pytest.fixture(scope="module")
def consortium_of_services(tmp_path_factory, _state) -> Consortium:
    key = Keystore(_state / "keys").identity
    root = tmp_path_factory.mktemp("trained")
    return Consortium(root, coordinator=key, kind="linear", ground="care", many="train")


def test_the_owner_s_request_is_authorised_by_the_same_check(world):
    assert world.ask().job_state is JobState.AUTHORISED


def test_nobody_else_asks(world):
    made = world.consortium
    prepared = made.prepare(requester=REQUESTER, key=made.identity(REQUESTER))
    arguments = {"request": prepared.token, "idempotency_key": new_uuid(), "by": world.bodies[REQUESTER]}
    assert refused(jobs.request_of_many, kind="train", **arguments)[0] is Reason.ROLE_MISSING


def test_none_is_authorised_with_a_model_that_was_recalled(world):
    recalls.recall(institution=world.bodies[OWNER], token=world.consortium.recall())
    job = world.ask()
    assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.MODEL_RECALLED)


def test_it_is_recorded_in_one_entry(world):
    job = world.recorded()
    assert job.job_state is JobState.RECORDED
    assert entry(job.prediction_entry).event == Event.TRAINING_RECORDED


@pytest.mark.parametrize("slug", PARTIES)
def test_a_receipt_that_commits_to_no_weights_withholds_it(world, slug):
    job = world.computing()
    for node in NODES:
        job = world.result(job, node, world.receipt(job, node, **({"weights": ""} if node == slug else {})))
    assert (job.job_state, job.reason) == (JobState.WITHHELD, Reason.RECEIPTS_DISAGREE)


class TestByRealNodes:
    """Everything but the broker is real."""

    @pytest.fixture
    def cohorts(self, world):
        found = {party: people(25, seed=place) for place, party in enumerate(PARTIES)}
        for party, rows in found.items():
            home = world.consortium.homes[party]
            write_table(home.directory / "data.csv", rows)
            world.consortium.write_policy(
                party, grounds=["care"], trainings=[world.definition.digest], cohort_days=0, epsilon="1000"
            )
        world.consortium.write_policy(DEALER, grounds=["care"])
        yield found
        for party in PARTIES:
            (world.consortium.homes[party].directory / "data.csv").unlink()

    @pytest.fixture
    def done(self, world, nodes, cohorts):
        prepared = world.consortium.prepare()
        job = world.ask(prepared)
        for state in (JobState.RESERVED, JobState.RECORDED):
            step(world, nodes, job)
            assert job.job_state is state, job.why
        released = results.release(job=job, by=world.bodies[OWNER])
        keyring = world.consortium.homes[OWNER].pins.keyring
        tokens = [output.receipt for output in released.outputs]
        receipts = check_receipts(tokens, keyring, request=prepared.digest, definition=world.consortium.definition)
        return job, receipts, {output.node: output.sealed for output in released.outputs if output.sealed}

    def publish(self, world, done, **changes):
        job, receipts, _ = done
        made = world.consortium
        start = made.manifest | changes.pop("start", {})
        fields = {
            "job": str(job.uuid),
            **made.design["result"],
            "commitments": {node: each["weights"] for node, each in receipts.items() if "weights" in each},
            "party_keys": made.party_keys,
            "key": made.identity(OWNER),
        }
        return model.publish_trained(start, **fields | changes)

    def test_what_one_training_made(self, world, nodes, cohorts, done, subtests):
        """One training takes seconds: each of these looks at it, and leaves it as it was."""
        for look, given in (
            (self.the_parties_shares_are_the_model_that_the_plaintext_learns_and_their_noise, [cohorts, done]),
            (self.nothing_else_is_imported_and_nobody_opens_another_s_share, [done]),
            (self.after_the_definition_is_revoked_nothing_is_imported, [done]),
            (self.after_the_model_is_recalled_nothing_is_imported, [done]),
            (self.a_training_that_had_rows_counts_whatever_becomes_of_its_result, [nodes, done]),
            (self.rows_are_not_brought_again_so_soon_and_trainings_spend_no_more_than_the_policy_says, [nodes]),
        ):
            with subtests.test(look.__name__), transaction.atomic():
                look(world, *given)
                transaction.set_rollback(True)

    def the_parties_shares_are_the_model_that_the_plaintext_learns_and_their_noise(self, world, cohorts, done):
        made = world.consortium
        token = self.publish(world, done)
        imported = models.import_model(manifest=token, sealed=done[2], by=world.bodies[OWNER])
        manifest = model.check_manifest(imported.manifest, made.homes[OWNER].pins.keyring)
        assert (manifest["version"], manifest["trained"]) == ("2", str(done[0].uuid))
        shares = [
            model.open_share(done[2][party], manifest, party, made.homes[party].keys.sealing) for party in PARTIES
        ]
        found = {name: ring.decode(ring.combine([share[name] for share in shares])) for name in ("weight", "bias")}
        plan = TrainingPlan.from_json(made.design)
        brought = [plan.encode(made.schema, rows) for rows in cohorts.values()]
        noise = np.append(found["weight"], found["bias"]) - plan.fit(brought)
        deviations = noise / (plan.noise(len(PARTIES), len(noise)) * np.sqrt(len(PARTIES)))
        assert 0.15 < np.mean(deviations**2) < 3.5  # chi-squared of as many numbers as there are weights

    def nothing_else_is_imported_and_nobody_opens_another_s_share(self, world, done):
        made, (_, _, sealed) = world.consortium, done
        manifest = model.check_manifest(self.publish(world, done), made.homes[OWNER].pins.keyring)
        key = made.homes["zurich"].keys.sealing
        assert refused(model.open_share, sealed["budapest"], manifest, "budapest", key)[0] is Reason.SEAL_BROKEN
        wrong = [
            ({"version": "3"}, Reason.DIGEST_MISMATCH, "version"),
            ({"job": "00000000-0000-4000-8000-000000000000"}, Reason.NOT_FOUND, "trained"),
            ({"start": {"schema": "sha256:" + 64 * "0"}}, Reason.DIGEST_MISMATCH, "schema"),
            ({"start": {"kind": "mlp"}}, Reason.FIELD_INVALID, "tensors"),
            ({"commitments": dict.fromkeys(PARTIES, "sha256:" + 64 * "0")}, Reason.DIGEST_MISMATCH, "commitments"),
        ]
        arguments = {"sealed": sealed, "by": world.bodies[OWNER]}
        for changes, reason, field in wrong:
            token = self.publish(world, done, **changes)
            assert refused(models.import_model, manifest=token, **arguments) == (reason, field)
        arguments["sealed"] = sealed | {"zurich": sealed["budapest"]}
        token = self.publish(world, done)
        assert refused(models.import_model, manifest=token, **arguments) == (Reason.DIGEST_MISMATCH, "sealed")

    def after_the_definition_is_revoked_nothing_is_imported(self, world, done):
        token = self.publish(world, done)
        with world.commit():
            definitions.relay_vote(vote=world.consortium.vote("zurich", approve=False, nonce=1))
        arguments = {"manifest": token, "sealed": done[2], "by": world.bodies[OWNER]}
        assert refused(models.import_model, **arguments)[0] is Reason.AUTHORITY_ENDED

    def a_training_that_had_rows_counts_whatever_becomes_of_its_result(self, world, nodes, done):
        node, ticket = nodes.nodes["zurich"], SimpleNamespace(ticket=world.ticket(done[0])["ticket"])
        node._give_back(ticket)
        assert node.opened.counts(ticket.ticket)
        node.opened.spend(
            "another", definition=world.definition.digest, model="", requester=OWNER, scalars=0, budget=10**6
        )
        node._give_back(SimpleNamespace(ticket="another"))
        assert not node.opened.counts("another")

    def rows_are_not_brought_again_so_soon_and_trainings_spend_no_more_than_the_policy_says(self, world, nodes):
        definition = world.definition.digest
        for changes, field in (({}, "cohort_days"), ({"cohort_days": 0}, "epsilon")):
            world.consortium.write_policy("zurich", grounds=["care"], trainings=[definition], **changes)
            grant = SimpleNamespace(
                plan=TrainingPlan.from_json(world.consortium.design), role="party", ticket={"ticket": new_uuid()}
            )
            assert refused(nodes.nodes["zurich"]._cohort.check, grant, now=clock.now()) == (
                Reason.POLICY_REFUSES,
                field,
            )

    def test_an_institution_brings_nothing_on_a_ground_that_its_policy_does_not_name(self, world, cohorts):
        made = world.consortium
        agreed, bases = made.definition, [dict(each) for each in made.protocol["bases"]]
        assert {each["ground"] for each in bases} == {"care"}
        policy = made.homes["zurich"].policy
        refusal = refused(check_brings, policy, agreed, digest=world.definition.digest, ground=Ground.WAIVER)
        assert refusal == (Reason.POLICY_REFUSES, "grounds")

    def after_the_model_is_recalled_nothing_is_imported(self, world, done):
        token = self.publish(world, done)
        recalls.recall(institution=world.bodies[OWNER], token=world.consortium.recall())
        arguments = {"manifest": token, "sealed": done[2], "by": world.bodies[OWNER]}
        assert refused(models.import_model, **arguments) == (Reason.MODEL_RECALLED, "model")

    def test_an_institution_whose_policy_does_not_name_it_brings_nothing(self, world, nodes, cohorts):
        world.consortium.write_policy("budapest", grounds=["care"], audits=[world.definition.digest])
        job = step(world, nodes, world.ask())
        assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.POLICY_REFUSES)
