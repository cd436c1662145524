"""What a command says of a file that is not the one that it asks for, of JSON that is none, and of a digest that is
none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from concordat.bedside import config
from concordat.client import omop
from concordat.client.cli import main
from concordat.client.ehr import Ehr
from concordat.client.home import ClientHome
from concordat.reasons import Reason, Refused
from concordat.verifier.__main__ import main as verify
from tests.concordat.client.conftest import FOLDER, Run, World

SCHEMA, PROTOCOL, CARD = FOLDER / "schema.json", FOLDER / "protocol.json", FOLDER / "card.json"
AUDIT, TRAINING, TEMPLATE = FOLDER / "audit.json", FOLDER / "training.json", FOLDER / "definition.template.json"
DIGEST = "sha256:" + "0" * 64


def concordat(*arguments: object, home: Path = Path("nowhere")) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), "--output", "json", *map(str, arguments)])


def error(result: Result) -> dict[str, Any]:
    assert result.exit_code == 1, result.output
    said: dict[str, Any] = json.loads(result.stderr)["error"]
    return said


@pytest.mark.parametrize(
    ("command", "field", "said"),
    [
        (("audit", "check", AUDIT, "--schema", PROTOCOL), "--schema", "no feature schema. It looks like another"),
        (
            ("audit", "check", TRAINING, "--schema", SCHEMA),
            "PLAN",
            "no audit plan. It looks like another document: tra",
        ),
        (("training", "check", AUDIT, "--schema", SCHEMA), "PLAN", "no training plan. It looks like another document"),
        (("training", "check", TRAINING, "--schema", CARD), "--schema", "another document: model card"),
        (("design", "reference-contrast-lime", CARD, "new.json"), "SCHEMA", "another document: model card"),
        (
            ("study", "submit", SCHEMA),
            "PROTOCOL",
            "schema.json is no protocol. It looks like another document: feature",
        ),
        (("model", "describe", DIGEST, PROTOCOL, "--yes"), "CARD", "is no model card. It looks like another document"),
        (("model", "describe", DIGEST, FOLDER / "bundle.json"), "CARD", "is no model card. It has none of: bias_hand"),
        (
            ("model", "import", SCHEMA, "--name", "a", "--version", "1", "--schema", TEMPLATE, "--party", "a"),
            "--schema",
            "definition.template.json is no feature schema. It looks like another document: computation definition",
        ),
    ],
)
def test_a_document_of_another_kind_is_called_one(command: tuple[object, ...], field: str, said: str) -> None:
    answer = error(concordat(*command))
    assert (answer["reason"], answer["field"]) == ("file-unreadable", field)
    assert said in answer["detail"]


@pytest.mark.django_db
def test_so_is_each_of_those_that_make_a_definition(world: World, run: Run) -> None:
    right = {"TEMPLATE": TEMPLATE, "--protocol": PROTOCOL, "--schema": SCHEMA, "--design": TRAINING}
    for field in right:
        given = {**right, field: CARD}
        template = given.pop("TEMPLATE")
        options = [word for option in given.items() for word in option]
        result = run("definition", "propose", template, "--model", DIGEST, *options, home="cleveland", output="json")
        answer = error(result)
        assert (answer["reason"], answer["field"]) == ("file-unreadable", field)
        assert "card.json is no " in answer["detail"]


def test_what_is_wrong_in_a_document_of_the_right_kind_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({**json.loads(SCHEMA.read_text()), "v": 7}))
    answer = error(concordat("training", "check", TRAINING, "--schema", tmp_path / "mine.json"))
    assert (answer["reason"], answer["field"]) == ("field-invalid", "v")
    assert answer["detail"].startswith("mine.json: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b'{"v": 1,\n "name" "x"}',
            "mine.json is no JSON document. This is not JSON: Expecting ':' delimiter at line 2, column 9.",
        ),
        (b'{"v": 1,\n "name": "a\nb"}', "This is not JSON: Invalid control character at line 2, column 12."),
        (b'{"v": 1, "v": 2}', "The key “v” stands twice in one object."),
        (b'{"v": 1,\n "name": "\xff"}', "line 2 is not UTF-8."),
        (b"[" * 100_000, "This is not JSON that can be read here."),
    ],
)
def test_what_is_no_json_names_file_line_and_column(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "mine.json").write_bytes(content)
    answer = error(concordat("training", "check", TRAINING, "--schema", tmp_path / "mine.json"))
    assert (answer["reason"], answer["field"]) == ("malformed", "--schema")
    assert said in answer["detail"]
    assert answer["detail"].startswith("mine.json ")


FILES: dict[str, Callable[[ClientHome], object]] = {
    "client.json": lambda home: home.config,
    "pins.json": lambda home: home.pins,
    "omop.json": lambda home: omop.source_of(home, "warehouse"),
    "ehr.json": Ehr.of,
    "bedside.json": config.load,
}


@pytest.mark.parametrize("name", FILES)
def test_so_do_the_files_of_a_home(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"a": 1,\n"a" 2}')
    with pytest.raises(Refused) as refused:
        FILES[name](ClientHome(tmp_path))
    assert refused.value.reason is Reason.MALFORMED
    assert refused.value.detail == f"{name}: This is not JSON: Expecting ':' delimiter at line 2, column 5."


@pytest.mark.parametrize("wrong", ["heart", "sha256:short", "0" * 64, "sha256:" + "A" * 64])
def test_what_is_no_digest_is_wrong_usage_and_the_argument_is_named(wrong: str) -> None:
    asked = ("--purpose", "p", "--person", "0" * 32)
    for command, name in (
        (("model", "show", wrong), "DIGEST"),
        (("model", "recall", wrong), "DIGEST"),
        (("model", "canaries", wrong), "DEFINITION"),
        (("definition", "show", wrong), "DIGEST"),
        (("definition", "approve", wrong), "DIGEST"),
        (("definition", "list", "--model", wrong), "--model"),
        (("predict", "--definition", wrong, *asked), "--definition"),
        (("audit", "request", "--definition", wrong, *asked), "--definition"),
    ):
        result = concordat(*command)
        assert result.exit_code == 2
        assert f"'{name}': “{wrong}” is no digest" in result.stderr
        assert "64 lower-case hexadecimal digits" in result.stderr


@pytest.mark.parametrize("content", [b"# A text\n", b"", (FOLDER / "schema.json").read_bytes()])
def test_a_file_that_is_no_dossier_is_not_called_one_that_does_not_hold(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "README.md"
    file.write_bytes(content)
    result = concordat("verify", file)
    assert result.exit_code == 2
    answer = json.loads(result.stderr)["error"]
    assert (answer["reason"], answer["detail"]) == ("no-dossier", f"The file is {file.name}.")
    with pytest.raises(SystemExit) as ended:
        verify([str(file)])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert "This is no dossier" in said.err
    assert "[no-dossier]" in said.err
    assert "HOLD" not in said.out + said.err + result.output
