"""The whole schema against a running server that has a decision: Schemathesis sends what fits it, and what does not."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from pydoc import locate
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
from schemathesis.generation.meta import CoverageScenario, coverage_scenario

from api.models import AccessToken
from api.openapi import SCHEME
from api.scopes import Scope
from api.webhooks import endpoints
from compute.services import alarms, packages
from concordat import clock
from concordat.canonical import digest
from concordat.keystore import Keystore
from governance.models import Consent
from governance.services import attachments
from ledger.services.publish import publish
from tests.api.conftest import audit, training
from tests.api.test_sweep import SCHEMA
from tests.support.consortium import DOMAIN, OWNER, REQUESTER, Consortium
from tests.support.coordinator import World
from tests.support.handed_in import false_canary, package_of
from tests.support.redis import redis_server

pytestmark = pytest.mark.full

EXAMPLES = 15
"""Requests for each operation and mode."""

NEVER = {"GET /api/v1/audits/{audit}/result", "GET /api/v1/trainings/{training}/result"}
"""Reads that are only refused here: no audit and no training has been computed."""

ASKED = {
    "/api/v1/ledger/inclusion": {"index": "0", "size": "2"},
    "/api/v1/ledger/consistency": {"first": "1", "second": "2"},
}
"""Sizes that the log has, which nobody guesses."""

OWNERS = ("/models", "/node/", "/trainings", "/finding", "/testimonies")
"""Parts of an address under which the owner asks, whose node is a party too; the requester asks elsewhere."""

load_all_checks()
CHECKED = CHECKS.get_by_names(
    [
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "allow_header_conformance",
    ]
)
"""What every answer is held against."""

(NO_SERVER_ERROR,) = CHECKS.get_by_names(["not_a_server_error"])
"""Not where the answer says what nodes have done, with 502 to 504, as the schema has it."""

(ACCEPTED,) = CHECKS.get_by_names(["positive_data_acceptance"])
"""Only of reads, but those in `AGREEING`: nearly every body holds something signed, and no schema knows signatures."""

AGREEING = {"/api/v1/ledger/entries", "/api/v1/subjects/{subject}/disclosures"}
"""Reads whose periods end after they begin."""

(AUTHENTICATED,) = CHECKS.get_by_names(["ignored_auth"])
"""Asks anew without a token and with a wrong one: of each operation once, when it has answered with success."""

MADE_UP = CHECKS.get_by_names(["missing_required_header", "unsupported_method"])
"""What only the coverage phase sends: methods and absences, not values."""

SCENARIOS = {CoverageScenario.UNSPECIFIED_HTTP_METHOD, CoverageScenario.MISSING_PARAMETER}

_WEBHOOKS = "tests.api.test_webhooks"
NOT_HERE = {
    "use_after_free": f"{_WEBHOOKS}.TestChangesOnACondition.test_a_removed_webhook_is_gone_with_what_waited_for_it",
    "ensure_resource_availability": f"{_WEBHOOKS}.TestRegistering.test_a_webhook_is_shown_as_it_was_registered",
    "object_level_authorization": "tests.api.test_sweep.test_a_strangers_object_cannot_be_told_from_none",
}
"""What is about several calls after another, which Schemathesis strings together by links, and this schema has none;
and the tests that make such calls."""

REFUSED = [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 428]
CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {
            "negative_data_rejection": {"expected-statuses": REFUSED},
            "missing_required_header": {"expected-statuses": [422, 428]},
        }
    }
)
"""With 410, 412 and 428 beside what Schemathesis takes for a refusal: what was erased, and what is changed on a
condition that is not met, or is missing."""

BEARER = {"type": "http", "scheme": "bearer"}


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


def bearer(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the token as a bearer's: of what comes by OAuth Schemathesis takes nothing away to see."""
    return {**schema, "components": schema["components"] | {"securitySchemes": {SCHEME: BEARER}}}


LOADED = {
    GenerationMode.POSITIVE: schemathesis.openapi.from_dict(bearer(strict(SCHEMA)), config=CONFIG),
    GenerationMode.NEGATIVE: schemathesis.openapi.from_dict(strict(SCHEMA), config=CONFIG),
}


def operations(mode: GenerationMode) -> list[Any]:
    """Reads first, so that they find what is there."""
    found = [each.ok() for each in LOADED[mode].get_all_operations()]
    return sorted(found, key=lambda each: each.method.upper() != "GET")


@dataclass(frozen=True)
class Running:
    """A coordinator with a study and its charter, a model, a definition, three decisions, of which one is still being
    computed and one was withdrawn for an alarm, the package of another, an audit and a training."""

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
        publish()
        asked = world.consortium.prepare()
        withheld = world.recorded(world.ask(asked))
        false = false_canary(world, withheld, asked)
        alarms.raise_alarm(job=withheld, alarm=false, request=asked.token, by=world.bodies[REQUESTER])
        done, begun = world.recorded(), world.computing()
        signed = package_of(world, done, "request")
        packages.keep(job=done, by=world.bodies[REQUESTER], statement=signed.statement, package=signed.package)
        charter = attachments.add(
            study=world.study,
            kind="charter",
            institution="",
            name="charter.pdf",
            media_type="application/pdf",
            content=b"%PDF-1.7",
            system=world.bodies[OWNER],
        )
        consent = Consent.objects.get()
        hook = endpoints.register(
            institution=world.bodies[REQUESTER], url="https://hospital.example/", events=["key.changed"]
        )
        jobs = [str(job.uuid) for job in (done, begun, withheld)]
        yield Running(
            url=live_server.url,
            names={
                "institution": [REQUESTER],
                "study": [world.study.slug],
                "protocol": [digest(world.consortium.protocol)],
                "attachment": [str(charter.uuid)],
                "model": [world.model.digest],
                "definition": [world.definition.digest],
                "consent": [str(consent.uuid)],
                "subject": [str(consent.subject)],
                "prediction": jobs,
                "job": jobs,
                "audit": [str(audit(world.definition, world.model, world.bodies[REQUESTER]).uuid)],
                "training": [str(training(world.definition, world.model, world.bodies[OWNER]).uuid)],
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
    for operation in operations(mode):
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


def test_every_check_is_made_here_or_by_a_test_that_is_named() -> None:
    here = {each.__name__ for each in (*CHECKED, *MADE_UP, NO_SERVER_ERROR, ACCEPTED, AUTHENTICATED)}
    assert here | NOT_HERE.keys() == set(CHECKS.get_all_names())
    assert not here & NOT_HERE.keys()
    assert all(map(locate, NOT_HERE.values()))


def test_other_methods_and_calls_without_a_header_that_they_need_are_refused(running: Running) -> None:
    wrong, tried = {}, set()
    mode, loaded = GenerationMode.NEGATIVE, LOADED[GenerationMode.NEGATIVE]
    for operation in operations(mode):
        slug = OWNER if any(part in operation.path for part in OWNERS) else REQUESTER
        cases = loaded.iter_coverage_cases(
            operation, generation_modes=[mode], generation_config=loaded.config.generation
        )
        for case in (each for each in cases if coverage_scenario(each) in SCENARIOS):
            case.path_parameters = {name: running.names[name][0] for name in case.path_parameters or {}}
            try:
                case.call_and_validate(
                    base_url=running.url,
                    headers={"Authorization": f"Bearer {running.tokens[slug]}"},
                    checks=[*MADE_UP, NO_SERVER_ERROR],
                )
            except FailureGroup as failures:
                wrong[f"{case.method} {operation.path}"] = "\n".join(str(each) for each in failures.exceptions)
            tried.add(coverage_scenario(case))
    assert not wrong, "\n\n".join(f"{label}\n{text}" for label, text in wrong.items())
    assert tried == SCENARIOS


def _try(operation: Any, running: Running, mode: GenerationMode) -> set[int]:
    slug = OWNER if any(part in operation.path for part in OWNERS) else REQUESTER

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
            if mode is GenerationMode.POSITIVE:
                case.query = {**(case.query or {}), **ASKED.get(operation.path, {})}
        if mode is GenerationMode.POSITIVE:  # no schema says which number has the right check digit
            for given in (case.path_parameters or {}, case.query or {}):
                given.update({"record": running.names["record"][0]} if "record" in given else {})
        headers = {"Authorization": f"Bearer {running.tokens[slug]}"}
        more = [] if any(200 <= status < 300 for status in statuses) else [AUTHENTICATED]
        answer = case.call_and_validate(base_url=running.url, headers=headers, checks=[*checks, *more])
        statuses.add(answer.status_code)

    passed_on = "502" in SCHEMA["paths"][operation.path][operation.method.lower()]["responses"]
    accepted = operation.method.upper() == "GET" and operation.path not in AGREEING
    checks = [*CHECKED, *([] if passed_on else [NO_SERVER_ERROR]), *([ACCEPTED] if accepted else [])]
    statuses: set[int] = set()
    check()
    return statuses


def _token(world: World, slug: str) -> str:
    token, until = uuid4().hex, clock.now() + timedelta(minutes=10)
    AccessToken.objects.issue(token, institution=world.bodies[slug], scopes=" ".join(Scope), expires=until)
    return token
