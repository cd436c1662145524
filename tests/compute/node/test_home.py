"""Setting a node up: its folder, its enrolment, whom it pins."""

import stat

import pytest
from click.testing import CliRunner

from compute.node.cli import cli, main
from compute.node.home import NodeHome
from concordat import canonical
from concordat.enrolment import verify_enrolment
from concordat.reasons import Reason, Refused
from tests.support.consortium import Consortium

INIT = ["--slug", "budapest", "--name", "Budapest", "--jurisdiction", "HU", "--roles", "party"]


def run(*arguments, **options):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], **options)


def reason(call, *arguments):
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.reason


def test_init_prints_an_enrolment_that_holds(tmp_path):
    done = run("init", "--home", tmp_path / "home", *INIT)
    enrolment = verify_enrolment(done.output.strip())
    assert (enrolment.institution, enrolment.document["roles"]) == ("budapest", ["party"])
    home = NodeHome(tmp_path / "home")
    assert home.enrolment == enrolment.token
    assert home.settings["broker"] == "redis://localhost:6379/0"


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--jurisdiction", "ZZZ", "two-letter country code"),
        ("--coordinator", "foo", "http:// or https://"),
        ("--broker", "bar", "rediss:// or redis://"),
        ("--rpc", "baz", "http:// or https://"),
        ("--slug", "Zürich", "lower-case letters"),
        ("--mesh", "zurich.example.org", "IPv4"),
        ("--mesh", "0.0.0.0", "one machine"),
    ],
)
def test_a_refused_init_leaves_nothing_behind_and_says_what_it_wanted(tmp_path, option, value, expected):
    done = run("init", "--home", tmp_path / "home", *INIT, option, value)
    assert (done.exception.reason, expected in done.exception.detail) == (Reason.FIELD_INVALID, True)
    assert not (tmp_path / "home").exists()


def test_a_folder_that_cannot_be_made_is_a_refusal(tmp_path):
    (tmp_path / "file").write_text("")
    assert run("init", "--home", tmp_path / "file" / "home", *INIT).exception.reason is Reason.HOME_UNUSABLE


def test_a_refusal_names_the_field_and_fits(tmp_path, monkeypatch, capsys):
    run("init", "--home", tmp_path / "home", *INIT)
    (tmp_path / "empty.json").write_text("{}")
    cases = [
        (["pin", "--home", tmp_path / "home", tmp_path / "empty.json"], "coordinator_key"),
        (["check", "--home", tmp_path / "home"], "run `pin`"),
        (["check", "--home", tmp_path / "elsewhere"], "Name the right folder"),
        (["init", "--home", tmp_path / "home", *INIT], "Choose another folder"),
    ]
    for arguments, expected in cases:
        monkeypatch.setattr("sys.argv", ["concordat-node", *map(str, arguments)])
        with pytest.raises(SystemExit):
            main()
        assert expected in capsys.readouterr().err


def test_nobody_else_reads_the_folder(tmp_path):
    run("init", "--home", tmp_path / "home", *INIT)
    for name, mode in ((".", 0o700), ("keys", 0o700), ("node.json", 0o600), ("keys/identity.pem", 0o600)):
        assert stat.S_IMODE((tmp_path / "home" / name).stat().st_mode) == mode


def test_a_node_is_set_up_once(tmp_path):
    run("init", "--home", tmp_path / "home", *INIT)
    first = NodeHome(tmp_path / "home").enrolment
    again = run("init", "--home", tmp_path / "home", *INIT)
    assert again.exception.reason is Reason.HOME_TAKEN
    assert NodeHome(tmp_path / "home").enrolment == first


def test_a_node_without_pins_or_policy_is_not_in_order(tmp_path):
    run("init", "--home", tmp_path / "home", *INIT)
    done = run("check", "--home", tmp_path / "home")
    assert done.exception.reason is Reason.HOME_INCOMPLETE
    assert "pins.json" in done.exception.detail


def test_engines_are_on_the_loopback_address_unless_it_is_said_otherwise(tmp_path):
    run("init", "--home", tmp_path / "home", *INIT)
    run("init", "--home", tmp_path / "other", *INIT, "--mesh", "127.0.0.2")
    homes = [NodeHome(tmp_path / "home"), NodeHome(tmp_path / "other"), Consortium(tmp_path).homes["budapest"]]
    assert [home.mesh for home in homes] == ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
    homes[1].move(coordinator="http://127.0.0.1:2", broker="redis://127.0.0.1:2/0", rpc="http://127.0.0.1:2")
    assert NodeHome(tmp_path / "other").mesh == "127.0.0.2"


def test_an_address_that_this_machine_has_not_is_not_in_order(tmp_path):
    home = Consortium(tmp_path).homes["budapest"]
    (home.directory / "node.json").write_bytes(canonical.encode(home.settings | {"mesh": "192.0.2.1"}))
    done = run("check", "--home", home.directory)
    assert (done.exception.reason, done.exception.field) == (Reason.FIELD_INVALID, "mesh")


def test_pinning_shows_whose_keys_were_pinned(tmp_path):
    consortium = Consortium(tmp_path)
    file = tmp_path / "pins.json"
    file.write_bytes(canonical.encode(consortium.pins()))
    done = run("pin", "--home", consortium.homes["zurich"].directory, file)
    assert len(done.output.splitlines()) == 6
    assert consortium.identity("long-beach").kid in done.output
    assert consortium.coordinator.kid in done.output
    assert run("check", "--home", consortium.homes["zurich"].directory).exit_code == 0


def test_an_offline_key_that_is_still_on_the_nodes_machine_is_warned_of(tmp_path):
    directory = Consortium(tmp_path).homes["zurich"].directory
    assert "offline.pem" in run("check", "--home", directory).stderr
    (directory / "keys" / "offline.pem").rename(tmp_path / "offline.pem")
    done = run("check", "--home", directory)
    assert (done.exit_code, done.stderr) == (0, "")


def test_pins_that_do_not_hold_replace_nothing(tmp_path):
    consortium = Consortium(tmp_path)
    home = consortium.homes["zurich"]
    before = (home.directory / "pins.json").read_bytes()
    tokens = consortium.pins()["enrolments"]
    swapped = tokens | {"cleveland": tokens["budapest"]}
    cases = {
        Reason.WRONG_INSTITUTION: consortium.pins(enrolments=swapped),
        Reason.FIELD_MISSING: consortium.pins(enrolments={"cleveland": tokens["cleveland"]}),
        Reason.FIELD_UNKNOWN: consortium.pins(more="1"),
        Reason.FIELD_INVALID: consortium.pins(coordinator_key="AAAA"),
    }
    for expected, pins in cases.items():
        assert reason(home.pin, canonical.encode(pins)) is expected
    assert (home.directory / "pins.json").read_bytes() == before


def test_pins_must_name_this_nodes_own_key(tmp_path):
    consortium, other = Consortium(tmp_path / "one"), Consortium(tmp_path / "two")
    assert reason(consortium.homes["zurich"].pin, canonical.encode(other.pins())) is Reason.KEY_UNKNOWN
