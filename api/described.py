"""The API's schema, as a page shows it: operations by what they are about, and the shapes that they take and give."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from api.openapi import SCHEME
from api.scopes import SCOPES
from concordat.events import EVENTS
from concordat.reasons import REASONS, ReasonInfo
from concordat.states import TRANSITIONS, JobState
from governance.rulebook import MACHINES, Machine

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """Of a shape, or a parameter. `shape` names the shape that it has, or that its items have, if that is one of ours;
    `place` where a parameter stands."""

    name: str
    kind: str
    shape: str
    required: bool
    text: str
    place: str = ""


@dataclass(frozen=True)
class Shape:
    name: str
    fields: tuple[Field, ...]
    values: tuple[str, ...]
    """Of an enumeration."""


@dataclass(frozen=True)
class Answer:
    status: str
    shape: str
    text: str


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    scope: str
    summary: str
    text: tuple[str, ...]
    parameters: tuple[Field, ...]
    body: str
    media: tuple[str, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Described:
    """`groups` are (resource, its operations); `scopes` (name, what it allows); `reasons` (code, what it says);
    `events` (name, what it records)."""

    groups: tuple[tuple[str, tuple[Operation, ...]], ...]
    shapes: tuple[Shape, ...]
    scopes: tuple[tuple[str, str], ...]
    reasons: tuple[tuple[str, ReasonInfo], ...]
    events: tuple[tuple[str, str], ...]
    job: Machine
    machines: tuple[Machine, ...]


@cache
def document() -> bytes:
    """The OpenAPI document (3.1) as JSON: what docs/reference/openapi.yaml says of the version that runs."""
    return json.dumps(_schema(), ensure_ascii=False).encode()


@cache
def described() -> Described:
    """All of it."""
    schema = _schema()
    operations = sorted(
        ((each["tags"][0], _operation(path, method, each, schema)) for path, method, each in _each(schema)),
        key=lambda found: (found[0], found[1].path),
    )
    groups = tuple((tag, tuple(each for _, each in of)) for tag, of in groupby(operations, key=lambda found: found[0]))
    shapes = tuple(_shape(name, each) for name, each in schema["components"]["schemas"].items())
    return Described(
        groups,
        shapes,
        scopes=tuple((scope.value, text) for scope, text in SCOPES.items()),
        reasons=tuple(REASONS.items()),
        events=tuple((event.value, info.description) for event, info in EVENTS.items()),
        job=Machine("job", "A job", JobState.REQUESTED, TRANSITIONS),
        machines=MACHINES,
    )


def _schema() -> Schema:
    found: Schema = SchemaGenerator().get_schema(request=None, public=True)
    return found


def _each(schema: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _operation(path: str, method: str, operation: Schema, schema: Schema) -> Operation:
    first, *rest = operation["description"].split("\n\n")
    scopes = [scope for each in operation.get("security", ()) for scope in each.get(SCHEME, ())]
    content = operation.get("requestBody", {}).get("content", {})
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        scope=scopes[0] if scopes else "",
        summary=first,
        text=tuple(rest),
        parameters=tuple(_field(each["name"], each["schema"], each) for each in operation.get("parameters", ())),
        body=next((_named(each["schema"]) for each in content.values()), ""),
        media=tuple(content),
        answers=tuple(_answer(status, each, schema) for status, each in operation["responses"].items()),
    )


def _answer(status: str, answer: Schema, schema: Schema) -> Answer:
    if "$ref" in answer:
        answer = schema["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    shape = next((_named(each.get("schema", {})) for each in answer.get("content", {}).values()), "")
    headers = "; ".join(f"{name}: {each['description']}" for name, each in answer.get("headers", {}).items())
    return Answer(status, shape, answer["description"] or headers)


def _shape(name: str, schema: Schema) -> Shape:
    required = schema.get("required", ())
    fields = (
        _field(each, found, {"required": each in required}) for each, found in schema.get("properties", {}).items()
    )
    return Shape(name, tuple(fields), tuple(map(str, schema.get("enum", ()))))


def _field(name: str, schema: Schema, said: Schema) -> Field:
    text = said.get("description") or schema.get("description", "")
    if values := schema.get("enum"):
        text = f"{text} One of {', '.join(f'`{value}`' for value in values if value)}.".strip()
    return Field(name, _kind(schema), _named(schema), said.get("required", False), text, said.get("in", ""))


def _named(schema: Schema) -> str:
    """The name of the shape that a schema refers to, itself or for its items."""
    for each in (schema, schema.get("items", {}), *schema.get("allOf", ()), *schema.get("oneOf", ())):
        if "$ref" in each:
            return str(each["$ref"]).rsplit("/", 1)[1]
    return ""


def _kind(schema: Schema) -> str:
    kinds = schema.get("type", "")
    kind = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    return f"{kind}, {schema['format']}" if "format" in schema else kind
