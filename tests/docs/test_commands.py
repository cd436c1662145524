"""Every command that a page names is there, with the options that it is given."""

import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from django.core.management import get_commands, load_command_class

from compute.node.cli import cli as node
from concordat.client.cli import main as concordat

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *ROOT.glob("docs/how-to/*.md"), *ROOT.glob("docs/tutorial/*.md")]
TREES: dict[str, click.Command] = {"concordat": concordat, "python -m compute.node": node}
CODE = re.compile(r"^    .*(?:\\\n.*)*|`[^`\n]+`", re.MULTILINE)
OPTION = re.compile(r"--[a-z][a-z-]*")


def said(page: Path, begins: str) -> Iterator[list[str]]:
    """The words behind `begins` of each command line in a page, up to where another command begins."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for code in CODE.findall(text):
        line = code.strip("`").replace("\\\n", " ")
        for found in re.finditer(rf"(?:^|(?<!from)[(\s]|\./){re.escape(begins)} ([^|>;)]*)", line):
            yield found[1].split()


def wrong_of_click(command: click.Command, words: list[str]) -> list[str]:
    """The parts of a command line that are no command of this tree and no option of theirs."""
    known: set[str] = set()
    wrong: list[str] = []
    values = False
    for word in words:
        for each in command.params:
            known.update((*each.opts, *each.secondary_opts))
        if values:
            values = False
        elif found := OPTION.match(word):
            option = next((each for each in command.params if found[0] in (*each.opts, *each.secondary_opts)), None)
            wrong += [] if found[0] in known | {"--help"} else [word]
            values = isinstance(option, click.Option) and not option.is_flag and isinstance(command, click.Group)
        elif isinstance(command, click.Group):
            following = command.commands.get(word)
            if following is None:
                return wrong if not re.fullmatch(r"[a-z][a-z-]*", word) else [*wrong, word]
            command = following
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_client_and_the_node(page: Path) -> None:
    wrong = [
        (begins, *words, "→", *found)
        for begins, tree in TREES.items()
        for words in said(page, begins)
        if (found := wrong_of_click(tree, words))
    ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_coordinator(page: Path) -> None:
    commands = get_commands()
    wrong = []
    for name, *words in filter(None, said(page, "manage.py")):
        if name not in commands:
            wrong.append(name)
            continue
        module = commands[name]
        command = load_command_class(module, name) if isinstance(module, str) else module
        parser = command.create_parser("manage.py", name)
        options = "".join(each.format_help() for each in (parser, *subparsers(parser)))
        wrong += [f"{name} {option}" for word in words for option in OPTION.findall(word) if option not in options]
    assert wrong == []


def subparsers(parser: ArgumentParser) -> Iterator[ArgumentParser]:
    """The parsers of a command's own commands, such as `retention set`."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            yield from action.choices.values()
