"""The attacks, small and at once; what was measured in full stands in the kinds and in the documentation."""

import json
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from bench import extraction, fidelities, fidelity_plot
from bench.attacks import What, fidelity, without
from bench.fidelities import counted, enough, measure
from bench.victims import ASKED, ESTIMATORS, victim

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def printed(table):
    console = Console(width=132)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("data", ["heart", "cancer"])
def test_owner_requester_and_judge_have_other_patients(data):
    secret = victim(data, "linear")
    assert len(secret.asked) == ASKED
    assert len(secret.held_out) > 100


def test_the_demonstrations_network_is_attacked():
    secret = victim("heart", "mlp")
    assert secret.tensors["hidden.weight"].shape == (16, 13)
    assert counted(secret) == 19


def test_the_model_itself_has_full_fidelity_and_a_constant_has_none():
    secret = victim("heart", "forest")
    true = secret.outputs(secret.held_out)
    assert fidelity(secret, true) == (1.0, 1.0)
    assert fidelity(secret, np.full_like(true, true.mean()))[1] == 0


@pytest.mark.parametrize("scale", ["log-odds", "probability"])
def test_one_explanation_tells_a_linear_models_weights(scale):
    assert extraction.weight_error(victim("heart", "linear"), 0, scale) < {"log-odds": 1e-6, "probability": 1e-3}[scale]


def test_what_is_read_from_the_rows():
    figures = {1: 0.2, 2: 0.96, 4: 0.94, 8: 0.95, 16: 0.99}
    assert enough(figures, 0.95) == 8
    assert enough(figures, 0.1) == 1
    assert enough(figures, 0.999) is None


def test_the_same_attack_gives_the_same_row():
    one, other = (measure(victim("heart", "trees"), "explanations", 2, 0) for _ in range(2))
    assert one == other
