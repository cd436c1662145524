"""The institution's folder: what is pinned is verified before it is relied on."""

from pathlib import Path
from typing import Any

import pytest

from concordat import clock
from concordat.client.home import Home
from concordat.enrolment import build_enrolment
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused


@pytest.fixture(scope="module")
def enrolment(tmp_path_factory: pytest.TempPathFactory) -> str:
    keys = Keystore(tmp_path_factory.mktemp("zurich") / "keys").create()
    return build_enrolment(
        keys, institution="zurich", name="Zürich", jurisdiction="CH", roles=["party"], issued=clock.now()
    )


def config(enrolments: dict[str, str], **changes: Any) -> Any:
    pins = {
        "coordinator_key": "k",
        "log_origin": "localhost/concordat",
        "enrolments": enrolments,
        "chain_id": 31338,
        "registry": "0x52908400098527886E0F7030069857D2E4169EE7",
    }
    return {"institution": "zurich", "coordinator": "https://c.example", "pins": pins} | changes


def refusal(reason: Reason) -> Any:
    return pytest.raises(Refused, match=f"^{reason}:")


def test_what_is_written_is_read_back(tmp_path: Path, enrolment: str) -> None:
    Home.create(tmp_path / "home", config({"zurich": enrolment}))
    home = Home(tmp_path / "home")
    assert home.institution == "zurich"
    assert home.enrolment("zurich").token == enrolment
    assert list(home.keyring) == ["zurich"]


def test_a_malformed_configuration_is_not_written(tmp_path: Path) -> None:
    with refusal(Reason.FIELD_UNKNOWN):
        Home.create(tmp_path / "home", config({}, colour="blue"))
    assert not (tmp_path / "home").exists()


def test_a_folder_without_configuration_says_so(tmp_path: Path) -> None:
    with refusal(Reason.NOT_FOUND):
        Home(tmp_path).config  # noqa: B018


def test_a_pinned_enrolment_must_hold(tmp_path: Path, enrolment: str) -> None:
    home = Home.create(tmp_path, config({"zurich": enrolment[:-8] + "AAAAAAAA"}))
    with refusal(Reason.SIGNATURE_INVALID):
        home.enrolment("zurich")


def test_an_enrolment_pinned_under_anothers_name_is_refused(tmp_path: Path, enrolment: str) -> None:
    home = Home.create(tmp_path, config({"budapest": enrolment}))
    with refusal(Reason.WRONG_INSTITUTION):
        home.enrolment("budapest")


def test_nobody_is_trusted_who_is_not_pinned(tmp_path: Path, enrolment: str) -> None:
    home = Home.create(tmp_path, config({"zurich": enrolment}))
    with refusal(Reason.KEY_UNKNOWN):
        home.enrolment("budapest")
