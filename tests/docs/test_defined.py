"""A page gives what its commands use: each variable is set, and each file is there, before it is read.

What no page can give, since it is the reader's own, is named where the page says “You need”.
"""

import re
import shlex
import textwrap
from dataclasses import dataclass, field

import click
import pytest

from compute.node.cli import cli as node
from concordat.client.cli import main as concordat
from tests.support.pages import LEFT_OUT, PAGES, ROOT, page

TREES: dict[str, click.Command] = {
    "concordat": concordat,
    "python -m compute.node": node,
    "python -m ledger.verify": concordat.commands["verify"],  # the same options name the same files
}
THE_SHELL_S = {"HOME", "PATH", "PWD"}
GOES_ON = re.compile(r"goes on from \[[^]]+\]\((?:[./a-z-]*/)?([a-z-]+)\.md\)")
NEEDS = re.compile(r"^(?=.*(?i:you need)\b)(?:(?!    |#).+\n)+(?:\n(?:[-|].*\n)+)?", re.MULTILINE)
BLOCK = re.compile(r"(?:^    .*\n(?:[ \t]*\n(?=    ))?)+", re.MULTILINE)
PYTHON = re.compile(r"<<'END'\n(.*?)\n *END$", re.MULTILINE | re.DOTALL)
WRITTEN = re.compile(r'(?:(?:savez|connect)\(|Path\((?="[^"]*"\)\.write))"([^"]+)"')
USED = re.compile(r"\$\{?([A-Za-z_]\w*)")
SET = re.compile(r"(?:^|[\s;(])([A-Za-z_]\w*)=(\S*)")
LOOP = re.compile(r"\bfor (\w+) in\b")


@dataclass
class Known:
    """What a reader has by now; `missing` is what a command used and nobody gave."""

    variables: dict[str, str] = field(default_factory=lambda: dict.fromkeys(THE_SHELL_S, ""))
    files: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)

    def read(self, name: str) -> None:
        """A page's commands, after those of the page that it goes on from."""
        text = page(name).read_text()
        for earlier in GOES_ON.findall(text)[:1]:
            self.read(earlier)
        for needed in NEEDS.findall(text):
            for each in re.findall(r"`([^`\s]+)`", needed):
                self.needed.add(each)
                self.variables.setdefault(each.removeprefix("$"), "")
        for block in BLOCK.findall(text):
            code = textwrap.dedent(block).strip()
            if not code.startswith(tuple(LEFT_OUT.get(name, ()))):
                self.run(code)

    def run(self, block: str) -> None:
        self.files.update(WRITTEN.findall(block))
        for line in PYTHON.sub("", block).replace("\\\n", " ").splitlines():
            line = re.sub(r"\$\((?!concordat|python|\.venv)[^()]*\)", lambda found: self._inner(found[0]), line)
            self._variables(line)
            for reads, writes in (*commands(line), *redirected(line)):
                self.missing += [each for each in map(self._expanded, reads) if not self._there(each)]
                self.files.update(map(self._expanded, writes))

    def _inner(self, substitution: str) -> str:
        """A command that is no command of ours, in the place of what it prints."""
        self._variables(substitution)
        self.missing += [
            each for each in re.findall(r"\(cat (\S+)\)", substitution) if not self._there(self._expanded(each))
        ]
        return "…"

    def _variables(self, line: str) -> None:
        self.variables.update(dict.fromkeys(LOOP.findall(line), ""))
        self.missing += [
            f"${name}" for name in USED.findall(re.sub(r"'[^']*'", "", line)) if name not in self.variables
        ]
        for name, value in SET.findall(line):
            self.variables[name] = value if re.fullmatch(r"[\w./-]+", value) else ""

    def _expanded(self, file: str) -> str:
        return USED.sub(lambda found: self.variables.get(found[1]) or found[0], file)

    def _there(self, file: str) -> bool:
        made = file in self.files | self.needed or file.startswith(("var/demo/", "/proc/", "$CONCORDAT_HOME/"))
        return made or file == "-" or (ROOT / file).exists()


def commands(line: str) -> list[tuple[list[str], list[str]]]:
    """Of each of our commands in a line, the files that it reads and those that it writes, by the options' types."""
    found = []
    for begins, tree in TREES.items():
        for words in re.findall(rf"(?:^|[(\s]){re.escape(begins)} ([^|>;)]*)", line):
            found.append(files(tree, shlex.split(words, comments=True)))
    return found


def files(command: click.Command, words: list[str]) -> tuple[list[str], list[str]]:
    """What a command line reads and writes."""
    context = click.Context(command, ignore_unknown_options=True, allow_extra_args=True)
    given, rest, _ = command.make_parser(context).parse_args(list(words))
    reads: list[str] = []
    writes: list[str] = []
    for each in command.params:
        value = given.get(str(each.name))
        named = [value] if isinstance(value, str) else list(value) if isinstance(value, tuple | list) else []
        if isinstance(each.type, click.File) or (isinstance(each.type, click.Path) and each.type.exists):
            reads += named if getattr(each.type, "file_okay", True) else []
        elif isinstance(each.type, click.Path) and each.type.file_okay:
            writes += named
    if isinstance(command, click.Group) and rest and rest[0] in command.commands:
        more = files(command.commands[rest[0]], rest[1:])
        return reads + more[0], writes + more[1]
    return reads, writes


def redirected(line: str) -> list[tuple[list[str], list[str]]]:
    """What the shell itself reads and writes."""
    quoted = re.sub(r"'[^']*'|\"[^\"]*\"", "…", line)
    copied = [([source], [to]) for source, to in re.findall(r"^cp (\S+) (\S+)$", line)]
    return [(re.findall(r"(?<!<)<\s*([\w.$/-]+)", quoted), re.findall(r">\s*([\w.$/-]+)", quoted)), *copied]


@pytest.mark.parametrize("name", [each.stem for each in PAGES])
def test_a_page_gives_what_its_commands_use(name: str) -> None:
    known = Known()
    known.read(name)
    assert known.missing == []


@pytest.mark.parametrize(
    ("block", "missing"),
    [
        ("concordat watch $REQUEST", ["$REQUEST"]),
        ("REQUEST=$(concordat predict --fhir bundle.json)\nconcordat watch $REQUEST", ["bundle.json"]),
        ("X=1\nconcordat model import var/mine/$X.npz --schema examples/heart_disease/schema.json", ["var/mine/1.npz"]),
        ("concordat dossier C-1 var/mine/a.zip\nconcordat verify var/mine/a.zip --disclosure b.json", ["b.json"]),
        ("python -m ledger.verify a.zip --rpc https://chain.example.org", ["a.zip"]),
        ("python -m compute.node pin --home home pins.json", ["pins.json"]),
        ("echo patient > var/mine/patient\nconcordat bedside link --patient-file var/mine/patient", []),
        ("concordat definition propose examples/heart_disease/card.json --model $(cat model.digest)", ["model.digest"]),
        ("for each in a b; do echo $each; done\ncp card.json var/mine/card.json", ["card.json"]),
        ('python - <<\'END\'\nsavez("var/mine/a.npz")\nprint("$X")\nEND\nconcordat model import var/mine/a.npz', []),
    ],
)
def test_what_nobody_gave_is_found(block: str, missing: list[str]) -> None:
    known = Known()
    known.run(block)
    assert known.missing == missing


def test_what_pages_have_written_lies_where_the_repository_keeps_nothing() -> None:
    for each in PAGES:
        known = Known()
        known.read(each.stem)
        if "var/demo" in each.read_text():
            assert [file for file in known.files if not file.startswith(("var/", "$CONCORDAT_HOME/"))] == [], each.stem
