"""Every command that a page tells a reader to type is executed by a test, or it is said why not."""

import ast
from pathlib import Path

import pytest

from tests.support.pages import EXECUTED, LEFT_OUT, PAGES, ROOT, blocks, page

NAMES = [each.stem for each in PAGES]


def functions(file: Path) -> set[str]:
    """The tests in a file."""
    return {each.name for each in ast.walk(ast.parse(file.read_text())) if isinstance(each, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_s_blocks_are_executed_by_a_test_or_left_out_for_a_reason(name: str) -> None:
    known = tuple(LEFT_OUT.get(name, {}))
    left = [each.code for each in blocks(page(name)) if not each.beforehand and not each.code.startswith(known)]
    assert bool(left) == (name in EXECUTED), left


@pytest.mark.parametrize("name", EXECUTED)
def test_the_test_is_there_and_reads_the_page(name: str) -> None:
    file, _, function = EXECUTED[name].partition("::")
    assert function in functions(ROOT / file)
    assert name in (ROOT / file).read_text()


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_still_on_its_page(name: str) -> None:
    for begins in LEFT_OUT[name]:
        assert [each for each in blocks(page(name)) if each.code.startswith(begins)], begins


def test_pages_are_named_once() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert set(EXECUTED) | set(LEFT_OUT) <= set(NAMES)
