"""What docs/how-to/join-a-consortium.md says besides its commands, which test_pages.py types."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from compute.node.cli import cli as node
from concordat.client.cli import main
from concordat.client.home import ClientHome
from tests.concordat.client.conftest import World


@pytest.mark.parametrize("content", [b"{}", b"[", b"\xff", b'[{"officer": "anna"}]'])
def test_what_is_no_list_of_officers_is_said(world: World, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "officers.json"
    file.write_bytes(content)
    folder = str(world.homes["long-beach"].directory)
    done = CliRunner().invoke(main, ["--home", folder, "roster", "sign", str(file), "--version", "1"])
    assert done.exit_code == 1
    assert "officers.json" in done.stderr or "officers.0" in done.stderr


def test_a_node_s_home_is_one_for_the_command_line_as_well(tmp_path: Path) -> None:
    options = ["--slug", "bern", "--name", "Bern", "--jurisdiction", "CH", "--roles", "party"]
    assert CliRunner().invoke(node, ["init", "--home", str(tmp_path / "home"), *options]).exit_code == 0
    assert ClientHome(tmp_path / "home").institution == "bern"
