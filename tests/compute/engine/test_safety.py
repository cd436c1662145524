"""What an engine refuses to be, and what it never imports."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from compute.engine import arithmetic, models, session
from compute.engine.compat import cfg, crypten
from concordat.model import KINDS
from concordat.reasons import Reason, Refused


@pytest.fixture
def restored():
    provider = cfg.mpc.provider
    yield
    cfg.mpc.provider = provider


@pytest.mark.parametrize("provider", ["TFP", "HE"])
def test_every_other_source_of_randomness_is_refused(restored, provider):
    session.check_provider()
    cfg.mpc.provider = provider
    with pytest.raises(Refused) as refused:
        session.connect({"address": "127.0.0.1:1"}, None)
    assert refused.value.reason == Reason.PROVIDER_UNSAFE


def test_re_randomised_shares_are_uniform_and_have_the_same_sum():
    secret = torch.arange(20000)
    shares = [secret, torch.zeros_like(secret), torch.zeros_like(secret)]
    fresh = [as_party(rank, lambda share=share: arithmetic.rerandomise(share)) for rank, share in enumerate(shares)]
    assert torch.equal(sum(fresh), secret)
    for share in fresh:
        counts = np.bincount(np.frombuffer(share.numpy().tobytes(), dtype=np.uint8), minlength=256)
        chi_squared = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
        assert chi_squared < 390  # 255 degrees of freedom: exceeded once in ten million


def test_every_kind_of_model_can_be_computed():
    assert set(models.FORWARD) == set(KINDS)


def as_party(rank, act):
    """Run `act` with the generators that one of three parties shares with its neighbours."""
    for name, seed in (("prev", (rank - 1) % 3), ("next", rank)):
        crypten.generators[name][torch.device("cpu")] = torch.Generator().manual_seed(1000 + seed)
    return act()


def test_the_engine_needs_no_django_and_its_runner_no_torch():
    code = """
import sys
sys.modules["django"] = sys.modules["celery"] = None
import compute.engine.runner
assert not {"torch", "crypten"} & set(sys.modules)
import compute.engine.execution
assert not [name for name in sys.modules if name.startswith(("concordat.client", "governance", "ledger"))]
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3], env={})
