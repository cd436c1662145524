"""The examples of docs/reference/api.md, one after the other, as they stand there."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from compute.models import Job
from tests.api.conftest import JOB, Caller

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"
BLOCK = re.compile(r"```http\n(.*?)\n?```", re.DOTALL)
NAME = re.compile(r"\{([a-z]+)\}")


def examples() -> list[tuple[str, str]]:
    """Requests and what is answered, in their order."""
    blocks = BLOCK.findall(PAGE.read_text())
    return list(zip(blocks[::2], blocks[1::2], strict=True))


def parts(block: str) -> tuple[str, dict[str, str], str]:
    """First line, headers, body."""
    head, _, body = block.partition("\n\n")
    first, *lines = head.splitlines()
    return first, dict(line.split(": ", 1) for line in lines), body


class Known:
    """What `{name}` stands for, as far as it is known; an answer may say more."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def fill(self, text: str) -> str:
        return NAME.sub(lambda found: self.values[found[1]], text)

    def check(self, expected: Any, found: Any) -> None:
        """`expected` may leave out members of objects and later items of lists."""
        match expected:
            case dict():
                for name, value in expected.items():
                    self.check(value, found[name])
            case list():
                assert len(found) >= len(expected)
                for each, other in zip(expected, found, strict=False):
                    self.check(each, other)
            case "…":
                assert found
            case str() if (named := NAME.fullmatch(expected)) and named[1] not in self.values:
                self.values[named[1]] = found
            case str():
                assert found == self.fill(expected)
            case _:
                assert found == expected


def test_the_page_has_examples_of_what_it_promises() -> None:
    methods = [parts(request)[0].split()[0] for request, _ in examples()]
    assert len(methods) >= 10
    assert {"GET", "POST", "PATCH", "DELETE"} == set(methods)
    for request, _ in examples():
        resolve(parts(request)[0].split()[1].partition("?")[0].replace("{prediction}", JOB).replace("{webhook}", JOB))


def test_every_example_is_answered_as_the_page_says(
    objects: Job, client: Client, signed_in: Callable[..., Caller], assertion: Callable[..., str]
) -> None:
    token = signed_in("long-beach").headers["Authorization"].partition(" ")[2]
    known = Known(token=token, prediction=JOB, assertion=assertion("long-beach"))
    for request, expected in examples():
        (method, path), headers, body = parts(request)[0].split(), *parts(request)[1:]
        sent = {name: known.fill(value) for name, value in headers.items()}
        kind = sent.pop("Content-Type", "application/json")
        text = known.fill(body) if kind.endswith("urlencoded") else body
        answer = client.generic(method, known.fill(path), text, content_type=kind, headers=sent)
        line, told, shown = parts(expected)
        assert f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}" == line, answer.content
        for name, value in told.items():
            known.check(value, answer[name])
        if shown:
            known.check(json.loads(shown), answer.json())


@pytest.mark.parametrize("difference", [{"state": "paused"}, {"items": [1, 2]}, {"missing": "…"}])
def test_an_example_that_says_something_else_would_be_found(difference: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        Known().check(difference, {"state": "active", "items": [1]})
