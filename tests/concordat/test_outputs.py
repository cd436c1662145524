from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from concordat import outputs, receipt, ring
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from tests.support.transcripts import transcripts

PARTIES = ["cleveland", "budapest", "zurich"]
PREDICTION = np.array([0.75])
EXPLANATION = np.array([0.5, -0.25, 0.125, -1.5, 33.5])


def fixed(numbers):
    """As the engine's shares add up to, also beyond what `ring.encode` takes."""
    return np.rint(numbers * 2.0**ring.RESULT_BITS).astype(np.int64)


class Finished:
    """A job whose engine has ended with these numbers."""

    def __init__(self, study, prediction=PREDICTION, explanation=EXPLANATION):
        predictions = ring.split(fixed(prediction), 3)
        explanations = ring.split(fixed(explanation), 3)
        self.key = study.prepared.output_key
        self.sealed, tokens = {}, []
        for index, node in enumerate((*PARTIES, "notary")):
            committed = None
            if node != "notary":
                committed, self.sealed[node] = outputs.seal_outputs(
                    job=study.ticket["job"],
                    node=node,
                    prediction=predictions[index],
                    explanation=explanations[index],
                    output_key=study.request["output_key"],
                )
            tokens.append(
                receipt.write(
                    study.ticket,
                    node=node,
                    rounds=1,
                    bytes_sent=1,
                    cpu_seconds=Decimal(1),
                    energy_joules=Decimal(1),
                    transcripts=transcripts((*PARTIES, "notary"), node),
                    outputs=committed,
                    started=study.now,
                    finished=study.now + timedelta(seconds=1),
                    key=study.keys[node],
                )
            )
        self.receipts = receipt.check_receipts(
            tokens, study.keyring, request=study.prepared.digest, definition=study.definition
        )

    def open(self, **changes):
        given = {"sealed": self.sealed, "key": self.key, "groups": 3, **changes}
        job = self.receipts["notary"]["job"]
        shares = {
            node: outputs.unseal(sealed, job=job, node=node, key=given["key"])
            for node, sealed in given["sealed"].items()
        }
        return outputs.add_up(shares, self.receipts, groups=given["groups"])


@pytest.fixture
def finished(study):
    return Finished(study)


def refusal(call, **changes):
    with pytest.raises(Refused) as caught:
        call(**changes)
    return caught.value.reason, caught.value.field


def test_the_requester_adds_the_shares_up(finished):
    opened = finished.open()
    assert opened.prediction == 0.75
    assert opened.coefficients.tolist() == [0.5, -0.25, 0.125]
    assert (opened.intercept, opened.sum_of_squares) == (-1.5, 33.5)


def test_nobody_else_can(finished):
    assert refusal(finished.open, key=SealingKey.generate())[0] is Reason.SEAL_BROKEN


def test_a_missing_party_is_named(finished):
    del finished.sealed["zurich"]
    with pytest.raises(Refused, match="zurich") as caught:
        finished.open()
    assert caught.value.reason is Reason.NODE_SILENT


def test_a_share_that_its_receipt_does_not_commit_to_is_named(study, finished):
    _, forged = outputs.seal_outputs(
        job=study.ticket["job"],
        node="zurich",
        prediction=ring.encode([3.0]),
        explanation=ring.encode(np.zeros(5)),
        output_key=study.request["output_key"],
    )
    assert refusal(finished.open, sealed={**finished.sealed, "zurich": forged}) == (
        Reason.OPENING_MISMATCH,
        "zurich",
    )


def test_parties_cannot_swap_their_shares(finished):
    swapped = {**finished.sealed, "zurich": finished.sealed["budapest"]}
    assert refusal(finished.open, sealed=swapped)[0] is Reason.SEAL_BROKEN


def test_an_answer_of_another_length_is_refused(finished):
    assert refusal(finished.open, groups=4)[0] is Reason.MALFORMED


@pytest.mark.parametrize("wrap", [2.0**16, -(2.0**16), 2.0**29])
def test_a_prediction_spoilt_by_a_wrapped_truncation_is_refused(study, wrap):
    finished = Finished(study, prediction=PREDICTION + wrap)
    assert refusal(finished.open)[0] is Reason.RESULT_OUT_OF_RANGE


@pytest.mark.parametrize(("place", "value"), [(0, 2.0**16), (3, -(2.0**16)), (4, -2.0), (4, 2.0**29)])
def test_an_explanation_that_no_model_produces_is_refused(study, place, value):
    explanation = EXPLANATION.copy()
    explanation[place] = value
    assert refusal(Finished(study, explanation=explanation).open)[0] is Reason.RESULT_OUT_OF_RANGE


def test_a_flat_models_total_may_open_just_below_zero(study):
    explanation = np.array([0.0, 0.0, 0.0, 1.0, -(2.0**-24)])
    assert Finished(study, explanation=explanation).open().sum_of_squares < 0
