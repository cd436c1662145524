"""A model's owner keeps the model in one piece, in a folder of its own, before anything of it is sent."""

import stat
from typing import Any

import numpy as np
import pytest

from concordat import model_file
from concordat.client.api import Api
from concordat.model import check_manifest
from concordat.reasons import Reason, Refused

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
