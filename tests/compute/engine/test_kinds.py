"""Every kind of model on every kind of rows, against its own plaintext reference; the same code for any number of
parties."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from compute.engine import arithmetic
from compute.engine.calculus import Calculus
from compute.engine.lime import Surrogate, explain
from compute.engine.rows import Composed, Masked, Private, Shifted
from concordat import ring
from concordat.kinds import KINDS
from concordat.kinds.kind import Kind, softmax, unit
from concordat.model import shapes_of
from concordat.reasons import Reason, Refused
from tests.support.parties import shares, together

K, N = 6, 20
SIZES = {
    "linear": [()],
    "mlp": [(5,), (7, 4), (3, 3, 3)],
    "mlp-classes": [(5, 3), (7, 4, 4), (3, 3, 3, 7)],
    "trees": [(4, 1), (3, 3), (2, 4), (2, 5)],
    "forest": [(4, 1), (3, 3), (100, 2)],
}
CASES = [(kind, size) for kind, sizes in SIZES.items() for size in sizes]


def tensors_of(kind, sizes):
    generator = np.random.default_rng(3)
    tensors = {name: generator.normal(size=shape) for name, shape in KINDS[kind].shapes(K, sizes)}
    if "thresholds" in tensors:
        chosen = generator.integers(0, K, tensors["thresholds"].shape)
        tensors["features"] = np.eye(K)[chosen]
        tensors["thresholds"] = np.round(tensors["thresholds"], 3) + 2.0**-10  # no value is that close to one
    if kind == "forest":
        tensors["leaves"] = generator.uniform(size=tensors["leaves"].shape)
    return tensors


def encoded(kind, tensors):
    return {
        name: ring.encode(tensor, 0 if name in KINDS[kind].whole else ring.BITS) for name, tensor in tensors.items()
    }


@dataclass
class Design:
    """Rows in the clear, and how a party makes them of its shares."""

    plain: np.ndarray
    secret: np.ndarray
    rows: callable


def designs():
    generator = np.random.default_rng(4)
    x = np.round(generator.normal(size=K), 2)
    masks = generator.integers(0, 2, (N, K))
    offsets = np.round(generator.normal(size=(N, K)), 2)
    components = np.round(generator.normal(size=(3, K)), 2)
    present = generator.integers(0, 2, (N, 3))
    fixed = torch.from_numpy(ring.encode(offsets))
    return {
        "masked": Design(masks * x, x, lambda share: Masked(share, torch.from_numpy(masks))),
        "shifted": Design(x + offsets, x, lambda share: Shifted(share, fixed)),
        "composed": Design(present @ components, components, lambda share: Composed(share, torch.from_numpy(present))),
        "private": Design(x + offsets, x + offsets, Private),
    }


DESIGNS = designs()


def compute(kind, tensors, design, parties=3):
    model = {name: shares(tensor, parties) for name, tensor in encoded(kind, tensors).items()}
    secret = shares(ring.encode(design.secret), parties)

    def start(party):
        rows = design.rows(secret[party.rank])
        mine = {name: share[party.rank] for name, share in model.items()}
        return KINDS[kind].secure(Calculus(party, rows), mine)

    run = together(start, parties)
    (bits,) = {value.bits for value in run.results}
    run.results = [value.share for value in run.results]
    found = ring.decode(run.sum, bits)
    return found * unit(found.shape[1]) if KINDS[kind].several else found[:, 0], run


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize(("kind", "sizes"), CASES)
def test_the_engine_computes_what_the_reference_does(kind, sizes, name):
    tensors, design = tensors_of(kind, sizes), DESIGNS[name]
    result, _ = compute(kind, tensors, design)
    assert result == pytest.approx(KINDS[kind].forward(tensors, design.plain), abs=2e-3)


@pytest.mark.parametrize("parties", [2, 4])
@pytest.mark.parametrize(("kind", "sizes"), CASES[::2])
def test_any_number_of_parties_computes_it(kind, sizes, parties):
    tensors, design = tensors_of(kind, sizes), DESIGNS["masked"]
    result, _ = compute(kind, tensors, design, parties)
    assert result == pytest.approx(KINDS[kind].forward(tensors, design.plain), abs=2e-3)


# A product; then for a network 4 rounds a ReLU, a product for each further layer, and a truncation before each deeper
# ReLU. Trees: masks compare once a node (2 rounds) and then need one AND more; paths and leaves take a round each.
@pytest.mark.parametrize(
    ("kind", "sizes", "name", "rounds"),
    [
        ("linear", (), "masked", 1),
        ("linear", (), "private", 1),
        ("mlp", (5,), "shifted", 6),
        ("mlp", (7, 4), "masked", 12),
        ("mlp-classes", (5, 3), "shifted", 6),
        ("mlp-classes", (7, 4, 16), "masked", 12),
        ("trees", (3, 3), "shifted", 5),
        ("trees", (3, 3), "masked", 6),
        ("trees", (2, 5), "masked", 7),
        ("forest", (3, 3), "masked", 6),
    ],
)
def test_a_model_costs_exactly_so_many_rounds(kind, sizes, name, rounds):
    _, run = compute(kind, tensors_of(kind, sizes), DESIGNS[name])
    assert run.rounds == rounds


@pytest.mark.parametrize(("kind", "sizes"), CASES)
def test_an_explanation_takes_one_round_more_than_a_prediction_alone(kind, sizes):
    """Two more than one of boosted trees, whose sum of leaves has no scale to cut."""
    tensors, design = tensors_of(kind, sizes), DESIGNS["masked"]
    model = {name: shares(tensor) for name, tensor in encoded(kind, tensors).items()}
    secret = shares(ring.encode(design.secret))
    surrogate = Surrogate.of_arrays(torch.ones(2, N - 1, dtype=torch.int64), torch.full((N - 1,), 1 << 10))

    def predict(party):
        mine = {name: share[party.rank] for name, share in model.items()}
        rows = design.rows(secret[party.rank]).part(slice(1))
        value = yield from KINDS[kind].secure(Calculus(party, rows), mine)
        return (yield from arithmetic.rescale(party, value, ring.RESULT_BITS)).share

    def explained(party):
        mine = {name: share[party.rank] for name, share in model.items()}
        rows, target = design.rows(secret[party.rank]), KINDS[kind].scale
        return (yield from explain(party, kind, mine, rows, surrogate, target)).prediction

    assert together(explained).rounds == together(predict).rounds + (2 if kind == "trees" else 1)


def test_a_value_that_equals_its_threshold_goes_left():
    tensors = {
        "features": np.eye(K)[[[0]]],
        "thresholds": np.array([[0.25]]),
        "leaves": np.array([[1.0, 2.0]]),
        "base": np.array(0.0),
    }
    unit = 2.0**-16
    for value, expected in [(0.25, 1.0), (0.25 + unit, 2.0), (0.25 - unit, 1.0)]:
        x = np.zeros(K)
        x[0] = value
        design = Design(x[None], x, lambda share: Masked(share, torch.ones(1, K, dtype=torch.int64)))
        assert compute("trees", tensors, design)[0].tolist() == [expected]


# --- shapes and ranges


def test_a_kind_is_found_by_its_file_alone():
    assert set(KINDS) == {"forest", "linear", "mlp", "mlp-classes", "trees"}
    assert all(isinstance(kind, Kind) for kind in KINDS.values())


@pytest.mark.parametrize(("kind", "sizes"), CASES)
def test_free_sizes_are_read_back_from_the_shapes(kind, sizes):
    shapes = KINDS[kind].shapes(K, sizes)
    assert shapes_of(kind, dict(shapes), K) == shapes


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("mlp", {"hidden.bias": (-3,)}),
        ("mlp", {"hidden.bias": ()}),
        ("mlp-classes", {"hidden.bias": (5,), "output.bias": (2,)}),
        ("mlp-classes", {"hidden.bias": (5,), "output.bias": (17,)}),
        ("mlp-classes", {"hidden.bias": (5,), "output.bias": ()}),
        ("trees", {"thresholds": (0, 7)}),
        ("trees", {"thresholds": (7,)}),
        ("trees", {}),
    ],
)
def test_shapes_that_are_none_do_not_fit(kind, given):
    assert shapes_of(kind, given, K) == KINDS[kind].shapes(K)


@pytest.mark.parametrize(("kind", "sizes"), CASES)
def test_proven_ranges_hold_for_every_record_between_the_bounds(kind, sizes):
    """Scale a model up until its proof just fails: up to there, no record that was tried exceeds the bound, nor what
    the proof says is the most."""
    tensors = tensors_of(kind, sizes)
    lowest, highest = -np.full(K, 3.0), np.full(K, 3.0)
    last = {"linear": "weight", "mlp": "output.weight", "mlp-classes": "output.weight"}.get(kind, "leaves")

    def proven(scale):
        try:
            KINDS[kind].prove(tensors | {last: tensors[last] * scale}, lowest, highest)
        except Refused as refused:
            return refused.reason is not Reason.MODEL_OUT_OF_RANGE
        return True

    scale = next(1.5**power for power in range(100) if not proven(1.5 ** (power + 1)))
    assert proven(scale)
    records = np.random.default_rng(0).uniform(-3, 3, (2000, K))
    largest = tensors | {last: tensors[last] * scale}
    most = {"log-odds": 256, "probability": 1}[KINDS[kind].scale]
    assert np.abs(KINDS[kind].forward(largest, records)).max() <= KINDS[kind].prove(largest, lowest, highest) <= most


def test_what_all_classes_have_in_common_is_neither_computed_nor_bounded():
    """Only differences between classes are: the same to all of them changes nothing, and the sum is none to the bit."""
    tensors, design = tensors_of("mlp-classes", (5, 3)), DESIGNS["masked"]
    common = tensors | {"output.bias": tensors["output.bias"] + 300.0}
    bounds = -np.full(K, 3.0), np.full(K, 3.0)
    assert KINDS["mlp-classes"].prove(common, *bounds) == pytest.approx(KINDS["mlp-classes"].prove(tensors, *bounds))
    (first, run), (second, _) = (compute("mlp-classes", each, design) for each in (tensors, common))
    assert first == pytest.approx(second, abs=2e-3)
    assert not run.sum.sum(axis=1).any()


def test_the_softmax_of_centred_log_odds_is_that_of_the_networks_numbers():
    z = np.random.default_rng(2).normal(scale=100, size=(9, 5))
    exact = np.exp(z - z.max(axis=1, keepdims=True))
    assert softmax(z - z.mean(axis=1, keepdims=True)) == pytest.approx(exact / exact.sum(axis=1, keepdims=True))


def test_probabilities_of_several_classes_are_no_target():
    assert KINDS["mlp-classes"].targets == ("log-odds",)


@pytest.mark.parametrize("leaf", [-0.01, 1.01, np.nan])
def test_a_forest_whose_leaf_is_no_probability_is_refused(leaf):
    tensors = tensors_of("forest", (3, 3))
    tensors["leaves"][1, 2] = leaf
    with pytest.raises(Refused) as caught:
        KINDS["forest"].prove(tensors, -np.ones(K), np.ones(K))
    assert caught.value.reason is Reason.MODEL_OUT_OF_RANGE


def test_a_forest_of_many_trees_is_as_exact_as_one_of_few():
    """Leaves are averaged after their sum: roundings do not add up, however many trees there are."""
    tensors, design = tensors_of("forest", (500, 1)), DESIGNS["masked"]
    result, _ = compute("forest", tensors, design)
    assert result == pytest.approx(KINDS["forest"].forward(tensors, design.plain), abs=2.0**-17)
