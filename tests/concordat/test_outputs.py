from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import outputs, receipt, ring
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from tests.support.transcripts import transcripts

PARTIES = ["cleveland", "budapest", "zurich"]
PREDICTION = np.array([0.75])
EXPLANATION = np.array([0.5, -0.25, 0.125, -1.5, 33.5, 7.25])


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
                    records=[(ring.to_bytes(predictions[index]), ring.to_bytes(explanations[index]))],
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
        given = {"sealed": self.sealed, "key": self.key, "groups": 3, "mirrored": True, "target": "log-odds", **changes}
        job = self.receipts["notary"]["job"]
        shares = {
            node: outputs.unseal(sealed, job=job, node=node, key=given["key"])[0]
            for node, sealed in given["sealed"].items()
        }
        asked = {name: given[name] for name in ("groups", "mirrored", "target")}
        if "answers" in given:
            return outputs.add_up(shares, self.receipts, **asked, answers=given["answers"])
        (opened,) = outputs.add_up(shares, self.receipts, **asked)
        return opened


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
    assert (opened.intercept, opened.sum_of_squares, opened.odd_squares) == (-1.5, 33.5, 7.25)


def test_a_design_that_is_not_mirrored_has_no_odd_part(study):
    finished = Finished(study, explanation=EXPLANATION[:-1])
    opened = finished.open(mirrored=False)
    assert opened.coefficients.tolist() == [0.5, -0.25, 0.125]
    assert (opened.intercept, opened.sum_of_squares, opened.odd_squares) == (-1.5, 33.5, None)
    assert refusal(finished.open)[0] is Reason.MALFORMED


CLASSES = np.array([[0.75, 0.5, -0.25, 0.125, -1.5, 33.5, 7.25], [-0.5] * 7, [-0.25, 0, 0.5, 0, 0, 1, 1]])
"""Of each of three: a prediction and an explanation."""


@pytest.mark.parametrize("answers", [3, 4])
def test_of_several_classes_each_is_opened_in_its_own_unit(study, answers):
    """The engine answers with a power of two less than K times as much, and squares of that."""
    numbers = np.vstack([CLASSES, CLASSES])[:answers]
    numbers[1:3, 5:] = 2.0
    scaled = numbers * {3: 3 / 4, 4: 1.0}[answers] ** np.array([1, 1, 1, 1, 1, 2, 2])
    finished = Finished(study, prediction=scaled[:, 0], explanation=scaled[:, 1:].ravel())
    for each, expected in zip(finished.open(answers=answers), numbers, strict=True):
        found = [each.prediction, *each.coefficients, each.intercept, each.sum_of_squares, each.odd_squares]
        assert found == pytest.approx(expected, abs=2.0**-23)
    assert refusal(finished.open, answers=answers - 1)[0] is Reason.MALFORMED


def test_one_spoilt_class_is_enough_to_refuse_all(study):
    numbers = np.abs(CLASSES)
    numbers[2, 0] += 2.0**12
    finished = Finished(study, prediction=numbers[:, 0], explanation=numbers[:, 1:].ravel())
    assert refusal(finished.open, answers=3)[0] is Reason.RESULT_OUT_OF_RANGE


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
        records=[(ring.to_bytes(ring.encode([3.0])), ring.to_bytes(ring.encode(np.zeros(6))))],
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
    assert refusal(finished.open, mirrored=False)[0] is Reason.MALFORMED


WRAPS = [("log-odds", 2.0**12), ("log-odds", -(2.0**12)), ("log-odds", 2.0**29), ("probability", 2.0**4)]


@pytest.mark.parametrize(("target", "wrap"), WRAPS)
def test_a_prediction_spoilt_by_a_wrapped_truncation_is_refused(study, target, wrap):
    finished = Finished(study, prediction=PREDICTION + wrap)
    assert refusal(finished.open, target=target)[0] is Reason.RESULT_OUT_OF_RANGE


WRONG = [
    *((target, place, wrap) for target, wrap in WRAPS for place in (0, 3)),
    *((target, place, value) for target in outputs.LARGEST for place in (4, 5) for value in (-2.0, 2.0**36)),
]


@pytest.mark.parametrize(("target", "place", "value"), WRONG)
def test_an_explanation_that_no_model_produces_is_refused(study, target, place, value):
    explanation = EXPLANATION.copy()
    explanation[place] += value if place < 4 or value > 0 else value - explanation[place]
    finished = Finished(study, explanation=explanation)
    assert refusal(finished.open, target=target)[0] is Reason.RESULT_OUT_OF_RANGE


@pytest.mark.parametrize("target", list(outputs.LARGEST))
def test_a_flat_models_squares_may_open_just_below_zero(study, target):
    explanation = np.array([0.0, 0.0, 0.0, 1.0, -(2.0**-24), -(2.0**-24)])
    opened = Finished(study, explanation=explanation).open(target=target)
    assert max(opened.sum_of_squares, opened.odd_squares) < 0


MOST = {"log-odds": (2.0**8, 2.0**11 - 1, 2.0**35), "probability": (1.0, 7.9, 2.0**17)}
"""In size: outputs as proven for a model, coefficients as `Surrogate.check` allows, the sum of squares of so many
rows as fit."""


class TestBounds:
    """Whatever the engine can answer is accepted, and nothing that a failed truncation makes of it."""

    @staticmethod
    def accepted(target, prediction, coefficient, total):
        numbers = np.array([coefficient, -coefficient, coefficient, total, total])
        try:
            return outputs._checked(np.array([prediction]), numbers, 2, target).target == target
        except Refused as refused:
            return refused.reason is not Reason.RESULT_OUT_OF_RANGE

    @pytest.mark.parametrize("target", list(MOST))
    @given(data=st.data())
    def test_they_part_the_right_from_the_wrong(self, target, data):
        output, coefficient, total = MOST[target]
        lowest = 0.0 if target == "probability" else -output
        right = (
            data.draw(st.floats(lowest, output)),
            data.draw(st.floats(-coefficient, coefficient)),
            data.draw(st.floats(0, total)),
        )
        assert self.accepted(target, *right)
        numbers = 2 * outputs.LARGEST[target]
        for place, unit in enumerate((numbers, numbers, 2 * outputs.LARGEST_SQUARES)):
            wrong = list(right)
            wrong[place] += data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3])) * unit
            assert not self.accepted(target, *wrong)

    @given(beyond=st.floats(2.0**-13, 8))
    def test_a_probability_is_one_but_for_the_arithmetics_error(self, beyond):
        for end, sign in ((0.0, -1), (1.0, 1)):
            assert self.accepted("probability", end + sign * outputs.PROBABILITY_ERROR, 0.1, 1.0)
            assert not self.accepted("probability", end + sign * beyond, 0.1, 1.0)

    def test_it_is_opened_as_it_came(self):
        """Nothing is moved to 0 or 1 in silence."""
        numbers = np.array([0.1, 0.2, 0.3])
        assert outputs._checked(np.array([-1e-5]), numbers, 1, "probability").prediction == -1e-5
