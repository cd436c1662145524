"""Whoever has the model and the disclosed record computes the decision again; what differs is noticed."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from concordat import canonical, model_file
from concordat.canaries import TOLERANCE
from concordat.reasons import Reason
from concordat.verifier import Options, Result, verify
from concordat.verifier.__main__ import main
from concordat.verifier.examine import Check, Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def computed(dossier_of_a_computation: Any) -> Any:
    return dossier_of_a_computation


@pytest.fixture
def model(computed: Any) -> bytes:
    return model_file.write(computed.decision.consortium.manifest, computed.decision.consortium.kept)


def archive(tensors: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **tensors)
    return buffer.getvalue()


def replayed(made: Any, model: bytes, disclosure: Any = None) -> Result:
    given = made.decision.with_record if disclosure is None else disclosure
    return verify(made.data, Options(disclosure=canonical.encode(given), model=model))


def answer(result: Result) -> Check:
    return next(check for check in result.checks if check.name == "replay")


def test_the_owners_model_computes_what_was_recorded(computed: Any, model: bytes) -> None:
    result = replayed(computed, model)
    assert result.holds
    check = answer(result)
    assert check.status is Status.PASSED
    assert "off by" in check.sentence
    assert f"{TOLERANCE['log-odds']:.1e} in log-odds is allowed" in check.sentence
    assert "The weights fit the manifest's commitments." in check.sentence


def test_a_design_that_depends_on_the_record_is_computed_again_as_well(dossier_of_a_tabular_computation: Any) -> None:
    made = dossier_of_a_tabular_computation
    kept = model_file.write(made.decision.consortium.manifest, made.decision.consortium.kept)
    result = replayed(made, kept)
    assert answer(result).status is Status.PASSED, answer(result).sentence
    assert result.holds


def test_of_several_classes_every_one_is_computed_again(dossier_of_classes: Any) -> None:
    consortium = dossier_of_classes.decision.consortium
    result = replayed(dossier_of_classes, model_file.write(consortium.manifest, consortium.kept))
    assert answer(result).status is Status.PASSED, answer(result).sentence
    bias = consortium.tensors["output.bias"] + [0.0, 0.01, -0.01]  # the first class's log-odds are the same
    result = replayed(dossier_of_classes, archive(consortium.tensors | {"output.bias": bias}))
    assert answer(result).reason is Reason.REPLAY_DIFFERS


def test_plain_tensors_agree_and_are_their_owners_word(computed: Any) -> None:
    result = replayed(computed, archive(computed.decision.consortium.tensors))
    check = answer(result)
    assert result.holds
    assert (check.status, check.reason) == (Status.ATTESTED, Reason.ATTESTED_ONLY)
    assert "are those recorded" in check.sentence
    assert "its owner's word" in check.sentence


def test_a_result_that_the_model_does_not_compute_is_noticed(made: Any) -> None:
    """The decision of the other tests has numbers that somebody made up."""
    consortium = made.decision.consortium
    result = replayed(made, model_file.write(consortium.manifest, consortium.kept))
    failed = [check for check in result.checks if check.status is Status.FAILED]
    assert [(check.name, check.reason) for check in failed] == [("replay", Reason.REPLAY_DIFFERS)]
    assert not result.holds


@pytest.mark.parametrize(("moved", "agrees"), [(2.0**-12, True), (2.0**-4, False)])
def test_the_tolerance_is_what_it_says(computed: Any, moved: float, agrees: bool) -> None:
    """A bias that is moved moves every log-odds as far."""
    tensors = dict(computed.decision.consortium.tensors)
    last = list(tensors)[-1]
    tensors[last] = tensors[last] + moved
    check = answer(replayed(computed, archive(tensors)))
    assert check.reason is (Reason.ATTESTED_ONLY if agrees else Reason.REPLAY_DIFFERS)


@pytest.mark.parametrize("given", [b"", b"{}", b"PK\x03\x04", b"not a model"])
def test_what_is_no_model_is_a_failed_check(computed: Any, given: bytes) -> None:
    assert answer(replayed(computed, given)).reason is Reason.FILE_UNREADABLE


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300])
def test_numbers_that_no_model_has_are_a_failed_check(computed: Any, number: float) -> None:
    tensors = {name: np.full_like(tensor, number) for name, tensor in computed.decision.consortium.tensors.items()}
    assert answer(replayed(computed, archive(tensors))).status is Status.FAILED


def test_without_the_record_nothing_can_be_computed_again(computed: Any, model: bytes) -> None:
    result = replayed(computed, model, computed.decision.disclosure)
    assert (answer(result).status, answer(result).reason) == (Status.NOT_CHECKABLE, Reason.NOT_DISCLOSED)
    assert result.holds
    alone = verify(computed.data, Options(model=model))
    assert (answer(alone).status, answer(alone).reason) == (Status.NOT_CHECKABLE, Reason.NOT_DISCLOSED)


def test_a_disclosure_that_does_not_fit_is_blamed_itself(computed: Any, model: bytes) -> None:
    given = canonical.decode(canonical.encode(computed.decision.with_record))
    share = bytearray(canonical.unb64(given["inputs"]["zurich"]["share"]))
    share[0] ^= 1
    given["inputs"]["zurich"]["share"] = canonical.b64(bytes(share))
    result = replayed(computed, model, given)
    assert [check.name for check in result.checks if check.status is Status.FAILED] == ["disclosure"]
    assert answer(result).reason is Reason.OPENING_MISMATCH


def test_whoever_does_not_ask_is_not_told(computed: Any) -> None:
    result = verify(computed.data, Options(disclosure=canonical.encode(computed.decision.with_record)))
    assert not [check for check in result.checks if check.name == "replay"]


@pytest.fixture
def files(computed: Any, model: bytes, tmp_path: Path) -> Callable[[str, bytes], str]:
    def write(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


def test_the_command_replays_and_its_exit_status_means_the_same(
    computed: Any, model: bytes, files: Callable[[str, bytes], str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [files("good.zip", computed.data), "--disclosure"]
    given += [files("disclosure.json", canonical.encode(computed.decision.with_record)), "--replay"]
    assert main([*given, files("model.json", model)]) == 0
    assert "no check failed" in capsys.readouterr().out
    zeros = {name: 0 * tensor for name, tensor in computed.decision.consortium.tensors.items()}
    assert main([*given, files("zeros.npz", archive(zeros))]) == 1
    said = capsys.readouterr().out
    assert "THE REPLAY DOES NOT AGREE" in said
    assert "[replay-differs]" in said
    with pytest.raises(SystemExit) as ended:
        main([*given, "nowhere.json"])
    assert ended.value.code == 2
    for name, content in (("text.json", b"not a model"), ("list.json", b"[]"), ("cut.npz", b"PK\x03\x04")):
        with pytest.raises(SystemExit) as ended:
            main([*given, files(name, content)])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert f"{name}: This is no" in said
        assert "--replay" in said
