"""Records with known results: what is on a sheet, whom it opens for, and what passes for the same result."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import canaries, design, ring
from concordat.canaries import TOLERANCE, agrees
from concordat.canonical import digest
from concordat.fields import plain
from concordat.kinds import KINDS
from concordat.outputs import Opened
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from tests.support.engines import SCHEMA

DESIGN = design.read_design(design.build(SCHEMA, seed="canaries"))
ONE = 1 << ring.RESULT_BITS


def tensors(kind):
    generator = np.random.default_rng(1)
    made = {name: 0.3 * generator.normal(size=shape) for name, shape in KINDS[kind].shapes(len(SCHEMA.columns))}
    if "thresholds" in made:
        made["features"] = np.eye(len(SCHEMA.columns))[generator.integers(0, len(SCHEMA.columns), (50, 7))]
    return made


def invented(kind="mlp", count=3, target="log-odds"):
    return canaries.invent(count, kind=kind, tensors=tensors(kind), schema=SCHEMA, design=DESIGN, target=target)


def came_back(canary, what_ifs=(), **changes):
    """Of each class; the changes are made to what came back of the last one."""
    honest = [
        Opened(prediction / ONE, numbers[:-3], *numbers[-3:], "log-odds", what_if / ONE)
        for prediction, numbers, what_if in zip(
            canary["prediction"],
            np.array(canary["explanation"]) / ONE,
            np.array([each["prediction"] for each in what_ifs]).reshape(len(what_ifs), -1).T
            if what_ifs
            else np.zeros((len(canary["prediction"]), 0)),
            strict=True,
        )
    ]
    return [*honest[:-1], replace(honest[-1], **changes)]


@pytest.mark.parametrize(
    ("kind", "target"),
    [(kind, target) for kind in ("linear", "mlp", "trees") for target in KINDS[kind].targets]
    + [("mlp-classes", "log-odds")],
)
def test_invented_records_are_within_the_schemas_ranges_and_not_all_alike(kind, target):
    lowest, highest = SCHEMA.bounds
    found = invented(kind, 6, target)
    records = ring.decode(np.array([canary["record"] for canary in found]))
    assert np.all(records >= lowest - 2.0**-16)
    assert np.all(records <= highest + 2.0**-16)
    assert len({canary["prediction"][0] for canary in found}) == 6
    assert all(np.abs(canary["explanation"]).max(axis=None) > TOLERANCE[target] * ONE for canary in found)


def test_what_came_back_right_is_right_also_with_what_ifs():
    first, second, third = invented()
    assert agrees(came_back(first), first, [], DESIGN)
    assert agrees(came_back(first, [second, third]), first, [second, third], DESIGN)
    assert not agrees(came_back(first, [third, second]), first, [second, third], DESIGN)
    assert not agrees(came_back(first), first, [second], DESIGN)
    assert not agrees(came_back(first), second, [], DESIGN)


@pytest.mark.parametrize("kind", ["mlp", "mlp-classes"])
@given(place=st.integers(0, 11), change=st.floats(-8, 8).filter(lambda change: abs(change) > 2.0**-9))
def test_a_change_of_any_number_is_noticed(kind, place, change):
    (canary,) = CANARIES[kind]
    numbers = np.array(canary["explanation"][-1][:-2]) / ONE
    if place == 0:
        changed = came_back(canary, prediction=canary["prediction"][-1] / ONE + change)
    elif place == 11:
        changed = came_back(canary, intercept=numbers[-1] + change)
    else:
        moved = numbers[:-1].copy()
        moved[place - 1] += change
        changed = came_back(canary, coefficients=moved)
    assert not agrees(changed, canary, [], DESIGN)


@pytest.mark.parametrize(("place", "name"), [(-2, "sum_of_squares"), (-1, "odd_squares")])
def test_another_sum_of_squares_is_noticed(place, name):
    (canary,) = CANARY
    total = canary["explanation"][0][place] / ONE
    known = np.array(canary["explanation"][0][-2:]) / ONE
    error = dict(zip((-2, -1), DESIGN.squares_error(known, "log-odds"), strict=True))[place]
    assert error < 1e-3 * total
    for sign in (-1, 1):
        assert agrees(came_back(canary, **{name: total + 0.5 * sign * error}), canary, [], DESIGN)
        assert not agrees(came_back(canary, **{name: total + 1.1 * sign * error}), canary, [], DESIGN)


@pytest.mark.parametrize("even", [0, 100])
def test_changes_that_are_small_each_are_noticed_by_the_intervals_that_they_make(even):
    """Coefficients within their tolerance, and the sum within its error, narrow what the surrogate leaves together.
    R² says nothing, whether outputs vary much besides or not at all."""
    record = ring.decode(ring.encode(np.linspace(-1, 1, len(SCHEMA.columns))))
    flat = np.array(canaries.known_result("linear", tensors("linear"), DESIGN, record, "log-odds")[1][0])
    canary = {
        "record": ring.encode(record).tolist(),
        "prediction": [0],
        "explanation": [[round(each * ONE) for each in [*flat[:-2], flat[-2] + even, flat[-1] + 0.5]]],
    }
    assert agrees(came_back(canary), canary, [], DESIGN)
    moved = came_back(canary, coefficients=flat[:-3] * (1 + 2.0**-11 / np.abs(flat[:-3]).max()))
    assert np.abs(moved[0].coefficients - flat[:-3]).max() < TOLERANCE["log-odds"]
    assert not agrees(moved, canary, [], DESIGN)
    numbers = moved[0].numbers, came_back(canary)[0].numbers
    fits = [DESIGN.fit(*each, target="log-odds").adjusted_r_squared for each in numbers]
    assert abs(fits[0] - fits[1]) < canaries.R_SQUARED_TOLERANCE


def test_a_canary_of_a_design_that_is_not_mirrored_has_no_odd_part():
    plan = design.read_design(design.build(SCHEMA, seed="canaries", kernel_width=0.5))
    made = {"kind": "mlp", "tensors": tensors("mlp"), "schema": SCHEMA, "design": plan, "target": "log-odds"}
    (canary,) = canaries.invent(1, **made)
    assert [len(each) for each in canary["explanation"]] == [len(plan.groups) + 2]
    *numbers, total = np.array(canary["explanation"][0]) / ONE
    back = Opened(canary["prediction"][0] / ONE, np.array(numbers[:-1]), numbers[-1], total, None, "log-odds")
    assert agrees([back], canary, [], plan)
    assert not agrees([replace(back, sum_of_squares=1.001 * total + 0.001)], canary, [], plan)
    assert not agrees([replace(back, odd_squares=1.0)], canary, [], plan)


def test_a_canary_of_several_classes_has_a_result_for_each():
    first, second = invented("mlp-classes", 2)
    assert [len(each) for each in first["explanation"]] == [len(DESIGN.groups) + 3] * 3
    assert abs(sum(first["prediction"])) <= 2  # centred, but for roundings
    assert agrees(came_back(first, [second]), first, [second], DESIGN)
    assert not agrees(came_back(first, [first]), first, [second], DESIGN)
    assert not agrees(came_back(first)[:-1], first, [], DESIGN)
    assert not agrees(came_back(first), first | {"explanation": first["explanation"][:-1]}, [], DESIGN)
    (of_two,) = CANARY
    assert not agrees(came_back(of_two), first, [], DESIGN)
    assert not agrees(came_back(first), first, [of_two], DESIGN)


CANARY = invented(count=1)
RECORD = ring.decode(np.array(CANARY[0]["record"]))
CANARIES = {"mlp": CANARY, "mlp-classes": invented("mlp-classes", 1)}


@pytest.fixture
def sealed(study):
    key = SealingKey.generate()

    def seal(**changes):
        fields = {
            "owner": study.manifest["owner"],
            "requester": "long-beach",
            "model": digest(plain(study.manifest)),
            "design": study.definition["design"],
            "target": "log-odds",
            "key": study.keys[study.manifest["owner"]],
        }
        fields |= changes
        sheet = canaries.sign_sheet(CANARY, **fields)
        return canaries.seal_sheet(sheet, model=fields["model"], requester=fields["requester"], public=key.public)

    def open_(token, **changes):
        fields = {
            "requester": "long-beach",
            "definition": study.definition,
            "owner": study.manifest["owner"],
            "keyring": study.keyring,
            "key": key,
        }
        return canaries.open_sheet(token, **fields | changes)

    return seal, open_


def reason(call, *arguments, **changes):
    with pytest.raises(Refused) as caught:
        call(*arguments, **changes)
    return caught.value.reason


def test_a_sheet_opens_for_its_requester(sealed):
    seal, open_ = sealed
    assert open_(seal())[1] == CANARY


def test_a_sheet_opens_for_nobody_else_and_counts_for_nothing_else(sealed, study):
    seal, open_ = sealed
    assert reason(open_, seal(), key=SealingKey.generate()) is Reason.SEAL_BROKEN
    assert reason(open_, seal(requester="zurich")) is Reason.SEAL_BROKEN
    assert reason(open_, seal(design=digest("another"))) is Reason.CANARIES_MISSING
    assert reason(open_, seal(target="probability")) is Reason.CANARIES_MISSING
    assert reason(open_, seal(), definition=study.definition | {"canaries": 2}) is Reason.CANARIES_MISSING


def test_a_sheet_that_the_owner_did_not_sign_is_refused(sealed, study):
    seal, open_ = sealed
    assert reason(open_, seal(key=study.keys["zurich"])) in (Reason.SIGNATURE_INVALID, Reason.KEY_UNKNOWN)
    assert reason(open_, seal(), owner="nobody") is Reason.KEY_UNKNOWN
