"""The institution's folder: what is in it is checked when it is read, and is its owner's alone."""

import stat
from pathlib import Path
from typing import Any

import pytest

from concordat import canonical, clock
from concordat.client.home import ClientHome, Config
from concordat.enrolment import build_enrolment
from concordat.reasons import Reason, Refused

CONFIG: Config = {"institution": "zurich", "coordinator": "https://c.example"}


def refusal(reason: Reason) -> Any:
    return pytest.raises(Refused, match=f"^{reason}:")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    ClientHome.create(tmp_path / "home", CONFIG)
    assert ClientHome(tmp_path / "home").institution == "zurich"
    assert stat.S_IMODE((tmp_path / "home" / "client.json").stat().st_mode) == 0o600


def test_a_malformed_configuration_is_not_written(tmp_path: Path) -> None:
    with refusal(Reason.FIELD_UNKNOWN):
        ClientHome.create(tmp_path / "home", {**CONFIG, "colour": "blue"})  # type: ignore[typeddict-unknown-key]
    assert not (tmp_path / "home").exists()


def test_a_folder_without_configuration_or_pins_says_so(tmp_path: Path) -> None:
    with refusal(Reason.HOME_INCOMPLETE):
        ClientHome(tmp_path).config  # noqa: B018
    with refusal(Reason.HOME_INCOMPLETE):
        ClientHome.create(tmp_path, CONFIG).pins  # noqa: B018


def test_the_pins_name_our_own_institution_with_our_own_key(tmp_path: Path) -> None:
    home, stranger = (ClientHome.create(tmp_path / name, CONFIG) for name in ("home", "stranger"))
    enrolment = build_enrolment(
        home.keys.create(), institution="zurich", name="Zürich", jurisdiction="CH", roles=["party"], issued=clock.now()
    )
    pins = {
        "coordinator_key": home.keys.identity.public.b64,
        "log_origin": "localhost/concordat",
        "enrolments": {"zurich": enrolment},
        "chain_id": 31338,
        "registry": "0x52908400098527886E0F7030069857D2E4169EE7",
    }
    home.pin(canonical.encode(pins))
    assert ClientHome(home.directory).pins.enrolment("zurich").token == enrolment
    stranger.keys.create()
    with refusal(Reason.KEY_UNKNOWN):
        stranger.pin(canonical.encode(pins))
