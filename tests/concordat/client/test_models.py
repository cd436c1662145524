"""A model's owner keeps the model in one piece, in a folder of its own, before anything of it is sent."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from compute.models import ModelVersion
from concordat import model_file
from concordat.client.api import Api
from concordat.client.cli.common import TRY_AGAIN
from concordat.client.governance import CheckedDefinition, fetch_definition
from concordat.model import check_manifest
from concordat.reasons import Reason, Refused
from tests.concordat.client.conftest import FOLDER, PARTIES, STUDY, Run, World, machine

pytestmark = pytest.mark.django_db


def kept(world: Any) -> list[Any]:
    return sorted(world.homes["cleveland"].models.glob("*.json"))


def test_what_is_kept_is_bound_to_the_manifest_and_readable_to_the_owner_alone(world: Any) -> None:
    checked = world.agree()
    (path,) = kept(world)
    assert path.stem == checked.content["model"].removeprefix("sha256:")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    manifest = world.api("cleveland").definition(checked.digest)["manifest"]
    tensors, bound = model_file.load(path.read_bytes(), check_manifest(manifest, world.homes["cleveland"].pins.keyring))
    assert bound
    assert all(np.abs(tensors[name] - value).max() <= 2.0**-17 for name, value in world.tensors.items())


def test_it_is_kept_before_anything_is_sent(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object) -> None:
        raise Refused(Reason.COORDINATOR_UNAVAILABLE)

    monkeypatch.setattr(Api, "import_model", unavailable)
    with pytest.raises(Refused):
        world.agree()
    assert len(kept(world)) == 1


class TestTheCommand:
    """`concordat model import`, by the owner."""

    @pytest.fixture
    def file(self, tmp_path: Path, world: World) -> Path:
        """A small network's tensors."""
        world.tensors = world._tensors("mlp")
        np.savez(tmp_path / "model.npz", **world.tensors)
        return tmp_path / "model.npz"

    @pytest.fixture
    def imports(self, run: Run, file: Path) -> Callable[..., Result]:
        def given(*options: str, version: str = "1", home: str = "cleveland") -> Result:
            parties = [word for party in PARTIES for word in ("--party", party)]
            named = ["--name", "heart", "--version", version, "--schema", str(FOLDER / "schema.json"), *parties]
            return run("model", "import", file, *named, *options, home=home, output="json")

        return given

    def test_cut_off_it_goes_on_with_what_was_signed_and_again_it_is_the_same_model(
        self, world: World, imports: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patched:

            def unavailable(*_: object) -> None:
                raise Refused(Reason.COORDINATOR_UNAVAILABLE)

            patched.setattr(Api, "import_model", unavailable)
            assert imports().exit_code == TRY_AGAIN
        (begun,) = kept(world)
        first, again = machine(imports()), machine(imports())
        assert first == again
        assert first["digest"] == f"sha256:{begun.stem}"
        assert ModelVersion.objects.get().digest == first["digest"]
        assert kept(world) == [begun]

    def test_other_content_under_the_same_version_is_refused_before_it_is_sent(
        self, world: World, imports: Callable[..., Result], file: Path
    ) -> None:
        machine(imports())
        other = imports("--party", "notary")
        assert "other parties" in json.loads(other.stderr)["error"]["detail"]
        np.savez(file, **{name: tensor + 0.01 for name, tensor in world.tensors.items()})
        error = json.loads(imports().stderr)["error"]
        assert (error["reason"], error["field"]) == ("conflict", "version")
        assert "other weights" in error["detail"]
        machine(imports(version="2"))
        assert len(kept(world)) == ModelVersion.objects.count() == 2

    def test_a_share_for_a_key_that_was_replaced_meanwhile_is_split_anew(
        self, world: World, imports: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patched:

            def replaced(*_: object) -> None:
                raise Refused(Reason.KEY_UNKNOWN)

            patched.setattr(Api, "import_model", replaced)
            assert imports().exit_code == 1
        assert machine(imports())["digest"] == ModelVersion.objects.get().digest

    def test_what_is_no_model_s_file_and_an_institution_that_owns_none_are_refused(
        self, world: World, imports: Callable[..., Result], file: Path
    ) -> None:
        error = json.loads(imports(home="long-beach").stderr)["error"]
        assert (error["reason"], error["field"]) == ("role-missing", "models.write")
        assert "role owner; long-beach is enrolled as requester" in error["detail"]
        assert not world.homes["long-beach"].models.exists()  # it was said before anything was split
        file.write_text("not a model")
        error = json.loads(imports().stderr)["error"]
        assert (error["reason"], error["field"]) == ("file-unreadable", "FILE")
        assert "model.npz" in error["detail"]
        assert not ModelVersion.objects.exists()

    def test_a_party_that_is_not_pinned_is_one_s_own_mistake_and_the_pinned_ones_are_named(
        self, imports: Callable[..., Result]
    ) -> None:
        error = json.loads(imports("--party", "clevland").stderr)["error"]
        assert (error["reason"], error["field"]) == ("key-unknown", "party")
        assert error["detail"] == (
            "clevland is not pinned here. Pinned are: budapest, cleveland, long-beach, notary, zurich."
        )


def test_canaries_are_sealed_anew_by_the_owner_alone(world: World, agreed: CheckedDefinition, run: Run) -> None:
    before = agreed.sealed_canaries
    refused = run("model", "canaries", agreed.digest)
    assert refused.exit_code == 1
    answer = machine(run("model", "canaries", agreed.digest, home="cleveland", output="json"))
    assert (answer["requesters"], answer["canaries"]) == (["long-beach"], 8)
    home, api = world.homes["long-beach"], world.api("long-beach")
    assert fetch_definition(home, api, agreed.digest).sealed_canaries != before


def test_a_linear_model_s_weights_are_disclosed_once_it_is_meant(world: World, run: Run) -> None:
    definition = world.agree("linear")
    command = ("model", "disclose", definition.content["model"], "--study", STUDY)
    assert run(*command, home="cleveland").exit_code == 1  # nobody has said yes
    assert machine(run(*command, "--yes", home="cleveland", output="json"))["study"] == STUDY
