"""What an engine refuses to be, and what it never imports."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from compute.engine import correlations
from compute.engine.correlations import Product, Square, Truncation
from compute.engine.dealing import Dealt, deal
from compute.engine.streams import Stream, derive, new_key
from concordat.reasons import Reason, Refused
from tests.support.engines import random_case, run_here
from tests.support.parties import together


def forbidden(*_, **__):
    raise AssertionError("a generator that is not cryptographic was asked for numbers")


def test_no_mask_comes_from_a_generator_that_is_not_cryptographic(monkeypatch):
    """A whole job, dealer included, in which every other generator refuses."""
    for name in ("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "bernoulli"):
        monkeypatch.setattr(torch, name, forbidden)
    for name in ("random_", "uniform_", "normal_", "bernoulli_"):
        monkeypatch.setattr(torch.Tensor, name, forbidden)
    monkeypatch.setattr(torch, "Generator", forbidden)
    case = random_case("mlp")
    for module, name in ((np.random, "default_rng"), (np.random, "randint"), (random, "getrandbits")):
        monkeypatch.setattr(module, name, forbidden)
    before = torch.random.get_rng_state()
    answers = run_here(case)
    assert all(answer["ok"] for answer in answers)
    assert torch.equal(before, torch.random.get_rng_state())


# --- streams


def test_a_stream_is_aes_in_counter_mode():
    """NIST SP 800-38A, F.5.5's key with a zero counter: its first block is the encryption of zeros."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = bytes(range(32))
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))
    assert Stream(key).ring((2,)).numpy().tobytes() == block


def test_two_who_share_a_key_draw_the_same_and_nobody_else_does():
    key = new_key()
    mine, yours, other = Stream(key), Stream(key), Stream(new_key())
    for shape in ((3, 5), (), (7,)):
        assert torch.equal(mine.ring(shape), yours.ring(shape))
        assert torch.equal(mine.bits(shape), yours.bits(shape))
        assert torch.equal(mine.tables(shape), yours.tables(shape))
    assert not torch.equal(mine.ring((4,)), other.ring((4,)))


def test_bits_and_tables_are_what_they_are_called():
    stream = Stream(new_key())
    assert set(stream.bits((1000,)).tolist()) == {0, 1}
    tables = stream.tables((10000,))
    assert (int(tables.min()), int(tables.max()) >> 8) == (int(tables.min()), 255)
    assert int(tables.min()) >= 0


def test_a_derived_key_depends_on_both_sides_and_on_its_label():
    a, b = new_key(), new_key()
    assert (
        len({derive(a, b, label="x"), derive(b, a, label="x"), derive(a, b, label="y"), derive(a, a, label="x")}) == 4
    )


# --- shares of zero


@pytest.mark.parametrize("parties", [2, 3, 4])
def test_shares_of_zero_are_uniform_and_add_up_to_nothing(parties):
    def start(party):
        return party.zero((4000,))
        yield

    run = together(start, parties)
    assert not run.sum.any()
    for share in run.results:
        counts = np.bincount(np.frombuffer(share.numpy().tobytes(), dtype=np.uint8), minlength=256)
        chi_squared = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
        assert chi_squared < 390  # 255 degrees of freedom: exceeded once in ten million


# --- correlated randomness

PLAN = (Product((2, 3), (3,)), Square((4,)), Truncation((5,), 16))


def dealt(plan=PLAN, parties=3):
    keys = [new_key() for _ in range(parties)]
    return keys, b"".join(deal(plan, keys))


def test_a_supply_is_used_once_and_in_order():
    keys, _ = dealt()
    supply = Dealt(PLAN, keys[1], None)
    for wanted in PLAN:
        supply.take(wanted)
    assert supply.used_up
    with pytest.raises(Refused) as caught:
        supply.take(PLAN[-1])
    assert caught.value.reason is Reason.RANDOMNESS_USED


@pytest.mark.parametrize("wanted", [Square((4,)), Product((2, 3), (2, 3)), Product((2, 3), (3,), "matmul")])
def test_what_was_not_dealt_is_not_taken(wanted):
    keys, _ = dealt()
    supply = Dealt(PLAN, keys[1], None)
    with pytest.raises(Refused) as caught:
        supply.take(wanted)
    assert caught.value.reason is Reason.RANDOMNESS_USED


def test_the_same_plan_is_dealt_differently_every_time():
    assert dealt()[1] != dealt()[1]


def test_a_plan_arrives_as_it_was_sent():
    assert correlations.decode(correlations.encode(PLAN, 3)) == (PLAN, 3)


@pytest.mark.parametrize(
    "plan",
    [
        b"",
        b"{}",
        b'[{"kind": "__init__"}]',
        b'[{"kind": "square", "size": [-1]}]',
        b'[{"kind": "square", "size": [4], "device": "cuda"}]',
        b'[{"kind": "square", "size": ["4"]}]',
        b'[{"kind": "square", "size": [4.0]}]',
        b'[{"kind": "square", "size": [1048576, 1048576]}]',
        b'[{"kind": "product", "left": [2], "right": [3], "op": "mul"}]',
        b'[{"kind": "product", "left": [2, 3], "right": [2, 3], "op": "matmul"}]',
        b'[{"kind": "product", "left": [2], "right": [2], "op": "save"}]',
        b'[{"kind": "truncation", "size": [2], "bits": 64}]',
        b'[{"kind": "comparison", "size": [2], "bits": 32, "use": "bit"}]',
        b'[{"kind": "conjunction", "size": [2], "circuit": 9}]',
        b"\x80\x04]\x94.",
    ],
)
def test_nothing_else_reaches_the_dealer(plan):
    assert correlations.decode(b'{"plan": [], "runs": 1}') == ((), 1)
    with pytest.raises(Refused) as caught:
        correlations.decode(b'{"plan": ' + plan + b', "runs": 1}')
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "plan")


@pytest.mark.parametrize(
    "request_", [b"", b"[]", b'{"plan": []}', b'{"plan": [], "runs": 0}', b'{"plan": [], "runs": 65}']
)
def test_it_is_dealt_for_some_runs_and_not_for_any_number(request_):
    with pytest.raises(Refused) as caught:
        correlations.decode(request_)
    assert caught.value.reason is Reason.FIELD_INVALID


# --- kinds and imports


def test_the_engine_needs_no_django_and_its_runner_no_torch():
    code = """
import sys
sys.modules["django"] = sys.modules["celery"] = None
import compute.engine.runner
assert not {"torch", "crypten"} & set(sys.modules)
import compute.engine.execution
assert not [name for name in sys.modules if name.startswith(("concordat.client.", "governance", "ledger", "pickle5"))]
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3], env={})
