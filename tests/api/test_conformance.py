"""The whole schema against a running server that has a decision: Schemathesis sends what fits it, and what does not."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from pytest_django.live_server_helper import LiveServer
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from api.models import AccessToken
from api.scopes import Scope
from api.webhooks import endpoints
from concordat import clock
from concordat.keystore import Keystore
from governance.models import Consent
from tests.api.test_sweep import SCHEMA
from tests.support.consortium import DOMAIN, OWNER, REQUESTER, Consortium
from tests.support.coordinator import World
from tests.support.redis import redis_server

pytestmark = pytest.mark.full

EXAMPLES = 15
"""Requests for each operation and mode."""

NEVER = {
    "GET /api/v1/ledger/consistency",
    "GET /api/v1/ledger/inclusion",
    "GET /api/v1/node/jobs/{job}/alarm",
    "GET /api/v1/predictions/{prediction}/testimonies",
    "GET /api/v1/predictions/{prediction}/packages",
}
"""Reads that are only refused here: sizes that the log has are not guessed, and there is no alarm and no package."""

load_all_checks()
CHECKED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without `default`, so that whatever status comes has to stand there by its number."""
    paths = {
        path: {
            method: operation | {"responses": {k: v for k, v in operation["responses"].items() if k != "default"}}
            for method, operation in item.items()
        }
        for path, item in schema["paths"].items()
    }
    return {**schema, "paths": paths}


OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(strict(SCHEMA)).get_all_operations()]


@dataclass(frozen=True)
class Running:
    """A coordinator with a study, a model, a definition and two decisions, one of which is still being computed."""

    url: str
    names: dict[str, list[str]]
    tokens: dict[str, str]


@pytest.fixture
def running(committed: None, live_server: LiveServer, settings: Any, _state: Path, tmp_path: Path) -> Iterator[Running]:
    settings.CALLS_A_MINUTE = dict.fromkeys(settings.CALLS_A_MINUTE, 10**6)
    settings.CHAIN_ID, settings.REGISTRY_ADDRESS = DOMAIN.chain_id, DOMAIN.registry
    settings.ANCHOR_ADDRESS = DOMAIN.registry
    with redis_server(tmp_path) as settings.REDIS_URL:
        world = World(Consortium(tmp_path / "homes", coordinator=Keystore(_state / "keys").identity), nullcontext)
        done, begun = world.recorded(), world.computing()
        consent = Consent.objects.get()
        hook = endpoints.register(
            institution=world.bodies[REQUESTER], url="https://hospital.example/", events=["key.changed"]
        )
        jobs = [str(job.uuid) for job in (done, begun)]
        yield Running(
            url=live_server.url,
            names={
                "institution": [REQUESTER],
                "study": [world.study.slug],
                "model": [world.model.digest],
                "definition": [world.definition.digest],
                "consent": [str(consent.uuid)],
                "subject": [str(consent.subject)],
                "prediction": jobs,
                "job": jobs,
                "index": ["0"],
                "webhook": [str(hook.uuid)],
                "record": [done.record],
                "path": ["000", "000.p/1"],
                "level": ["0"],
            },
            tokens={slug: _token(world, slug) for slug in (OWNER, REQUESTER)},
        )


@pytest.mark.timeout(240)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_one_that_the_schema_describes(running: Running, mode: GenerationMode) -> None:
    wrong, never = {}, []
    for operation in sorted(OPERATIONS, key=lambda each: each.method.upper() != "GET"):
        try:
            statuses = _try(operation, running, mode)
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # any text fits: nothing that is sent could be wrong
            assert not operation.body, operation.label
        except FailureGroup as failures:
            wrong[operation.label] = "\n".join(str(each) for each in failures.exceptions)
        else:
            if operation.method.upper() == "GET" and not any(status < 300 for status in statuses):
                never.append(operation.label)
    assert not wrong, "\n\n".join(f"{label}\n{text}" for label, text in wrong.items())
    if mode is GenerationMode.POSITIVE:
        assert set(never) == NEVER


def _try(operation: Any, running: Running, mode: GenerationMode) -> set[int]:
    slug = OWNER if "/node/" in operation.path or "/models" in operation.path else REQUESTER

    @hypothesis_settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.randoms(use_true_random=False))
    def check(case: schemathesis.Case, chance: Any) -> None:
        if chance.random() < 0.8:
            there = {name: chance.choice(running.names[name]) for name in case.path_parameters or {}}
            case.path_parameters = {**(case.path_parameters or {}), **there}
        headers = {"Authorization": f"Bearer {running.tokens[slug]}"}
        answer = case.call_and_validate(base_url=running.url, headers=headers, checks=CHECKED)
        statuses.add(answer.status_code)

    statuses: set[int] = set()
    check()
    return statuses


def _token(world: World, slug: str) -> str:
    token, until = uuid4().hex, clock.now() + timedelta(minutes=10)
    AccessToken.objects.issue(token, institution=world.bodies[slug], scopes=" ".join(Scope), expires=until)
    return token
