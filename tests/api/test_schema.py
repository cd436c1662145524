"""The OpenAPI schema: complete, without warnings, and honest about scopes and refusals."""

from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from api.scopes import Scope
from concordat.reasons import REASONS, Reason
from tests.api.test_access import PUBLIC
from tests.api.test_browse import COMMITTED


@pytest.fixture
def schema() -> dict[str, Any]:
    GENERATOR_STATS.reset()
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, found) for path, item in schema["paths"].items() for method, found in item.items()]


def test_it_is_generated_without_warnings_and_is_valid(schema: dict[str, Any]) -> None:
    assert not GENERATOR_STATS
    validate_schema(schema)


def test_every_operation_names_one_scope_except_those_without_sign_in(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        scopes = [scope for each in operation.get("security", []) for scope in each.get("machine", [])]
        if path in PUBLIC:
            assert scopes == []
        else:
            assert len(scopes) == 1, f"{method} {path}"
            assert scopes[0] in set(Scope)


def test_every_operation_says_what_a_refusal_looks_like(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        assert "application/problem+json" in operation["responses"]["default"]["content"], f"{method} {path}"


def test_answers_stand_in_the_order_of_their_status() -> None:
    for path, item in COMMITTED["paths"].items():
        for method, operation in item.items():
            assert list(operation["responses"]) == sorted(operation["responses"]), f"{method} {path}"


def test_a_result_may_be_refused_for_whatever_ended_the_job(schema: dict[str, Any]) -> None:
    ends = {str(REASONS[reason].status) for reason in (Reason.CANARY_FAILED, Reason.NODE_SILENT, Reason.NODE_BUSY)}
    for path, item in schema["paths"].items():
        if path.endswith("}/result") and "get" in item:
            assert ends <= item["get"]["responses"].keys(), path


def test_every_operation_is_described(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        assert operation.get("description"), f"{method} {path}"


def test_every_field_of_every_shape_is_described() -> None:
    shapes = COMMITTED["components"]["schemas"]
    fields = {
        f"{name}.{field}": said for name, shape in shapes.items() for field, said in shape.get("properties", {}).items()
    }
    assert len(fields) > 300
    assert [name for name, said in fields.items() if not _described(said, shapes)] == []


def _described(said: dict[str, Any], shapes: dict[str, Any]) -> bool:
    """By words of its own, or by those of the shape that it refers to."""
    return bool(said.get("description") or shapes.get(said.get("$ref", "").rpartition("/")[2], {}).get("description"))
