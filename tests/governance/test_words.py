"""Every code has its words, and the rule book shows every state."""

from collections.abc import Collection, Mapping
from typing import Any, get_args

import pytest

from concordat.definition import Kind, Target
from concordat.determination import Outcome, Path, SubmissionKind
from concordat.legal_basis import Gdpr, Ground
from concordat.protocol import AttachmentKind, Population, Protocol
from governance import rulebook, words
from governance.permissions import Role, Verb
from governance.rulebook import Machine


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        (words.GROUNDS, Ground),
        (words.ARTICLE_6, get_args(Gdpr.__annotations__["article6"])),
        (words.ARTICLE_9, get_args(Gdpr.__annotations__["article9"])),
        (words.POPULATIONS, get_args(Population)),
        (words.KINDS, get_args(Kind)),
        (words.ATTACHMENTS, AttachmentKind),
        (words.TARGETS, get_args(Target)),
        (words.OUTCOMES, Outcome),
        (words.PATHS, Path),
        (words.SUBMISSIONS, SubmissionKind),
        (words.FIELDS, Protocol.__annotations__),
    ],
)
def test_every_code_has_its_words(table: Mapping[Any, object], codes: Collection[Any]) -> None:
    assert set(table) == set(codes)


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (None, []),
        (True, ["yes"]),
        ("one\ntwo", ["one", "two"]),
        (["a", "b"], ["a", "b"]),
        (12, ["12"]),
        ({"ground": "consent", "gdpr": None}, ["ground: consent; gdpr: none"]),
    ],
)
def test_any_value_is_shown_as_lines(value: object, lines: list[str]) -> None:
    assert words.value(value) == lines


def test_a_changed_part_of_a_field_is_named_after_both() -> None:
    assert words.field("risks.misuse") == "Risks: misuse"
    assert words.field("opened") == "What is opened"


@pytest.mark.parametrize("machine", rulebook.MACHINES, ids=lambda machine: machine.name)
def test_a_diagram_shows_every_state_and_every_change(machine: Machine) -> None:
    shown = machine.mermaid()
    for state, after in machine.rows():
        for following in after or ["[*]"]:
            assert f"{state.replace('-', '_')} --> {following.replace('-', '_')}" in shown


def test_the_matrix_holds_every_role_and_every_verb() -> None:
    roles, rows = rulebook.roles()
    assert roles == [role.label for role in Role]
    assert {verb for verb, _ in rows} == set(Verb)
    assert all(len(flags) == len(roles) for _, flags in rows)
