"""Lists hold what their caller may see, and of that what it asks for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from api.scopes import Scope
from api.views import base
from compute.models import Job, ModelVersion
from concordat import clock
from governance import selectors
from governance.models import Consent, Definition, Institution, Study
from governance.states import StudyState
from tests.api.conftest import DIGEST, ROLES, SAMPLES, Caller
from tests.api.test_access import check_problem


def items(caller: Caller, path: str, name: str) -> list[Any]:
    return [each[name] for each in caller.get(path).json()["items"]]


def refused(caller: Caller, path: str, field: str, code: str = "field-invalid") -> None:
    assert check_problem(caller.get(path), 422, code)["field"] == field


class TestDefinitions:
    """In a definition its parties, requesters, dealer, owner and quorum have a say."""

    PARTS = (
        {"parties": ["mayo"]},
        {"requesters": ["long-beach", "mayo"]},
        {"dealer": "mayo"},
        {"quorum": {"of": ["cleveland", "mayo"], "needed": 1}},
    )

    def test_a_definition_in_short(self, objects: Job, signed_in: Callable[..., Caller]) -> None:
        [shown] = signed_in("budapest").get("definitions?kind=explain").json()["items"]
        assert shown == {
            "digest": DIGEST,
            "study": "heart",
            "kind": "explain",
            "model": DIGEST,
            "owner": "cleveland",
            "state": "registered",
            "valid_until": clock.rfc3339(objects.definition.valid_until),
            "registered": clock.rfc3339(objects.definition.registered),
        }

    @pytest.mark.parametrize("part", PARTS)
    def test_who_has_a_say_sees_it_in_the_list_and_alone(
        self, objects: Job, members: dict[str, Institution], signed_in: Callable[..., Caller], part: dict[str, Any]
    ) -> None:
        definition, mayo = objects.definition, members["mayo"]
        assert not selectors.visible_definitions(mayo).exists()
        Definition.objects.filter(pk=definition.pk).update(content=definition.content | part)
        assert "mayo" in selectors.voters(Definition.objects.get(pk=definition.pk))
        caller = signed_in("mayo")
        assert items(caller, "definitions", "digest") == [DIGEST]
        assert caller.get(f"definitions/{DIGEST}/votes").status_code == 200

    def test_a_name_that_only_begins_like_it_says_nothing(self, objects: Job, members: dict[str, Institution]) -> None:
        content = objects.definition.content | {"requesters": ["mayo-north"], "parties": ["not-mayo"]}
        Definition.objects.filter(pk=objects.definition.pk).update(content=content)
        assert not selectors.visible_definitions(members["mayo"]).exists()

    def test_by_study_kind_and_model(self, objects: Job, signed_in: Callable[..., Caller]) -> None:
        caller = signed_in("zurich")
        assert items(caller, "definitions", "kind") == ["train", "audit", "explain"]
        assert items(caller, "definitions?study=heart&kind=audit", "kind") == ["audit"]
        assert len(items(caller, f"definitions?model={DIGEST}", "digest")) == 3
        assert items(caller, f"definitions?model=sha256:{'1' * 64}", "digest") == []
        assert items(caller, "definitions?study=liver", "digest") == []
        refused(caller, "definitions?study=../heart", "study")
        refused(caller, "definitions?kind=guess", "kind")
        refused(caller, "definitions?model=risk", "model")
        refused(caller, "definitions?models=risk", "models", "field-unknown")

    def test_a_list_goes_on_with_what_was_asked_for(
        self, objects: Job, signed_in: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base, "PAGE", 1)
        caller = signed_in("zurich")
        first = caller.get("definitions?study=heart").json()
        second = caller.get(first["next"].removeprefix("/api/v1/")).json()
        assert [page["items"][0]["kind"] for page in (first, second)] == ["train", "audit"]


class TestConsents:
    """An institution's own, without whose they are."""

    def test_they_are_listed_without_the_person(self, objects: Job, signed_in: Callable[..., Caller]) -> None:
        caller, given = signed_in("long-beach"), Consent.objects.get()
        [shown] = caller.get("consents").json()["items"]
        assert shown == caller.get(f"consents/{SAMPLES['consent']}").json()
        assert (shown["consent"], shown["study"], shown["withdrawn"]) == (SAMPLES["consent"], "heart", "")
        assert str(given.subject) not in str(shown)

    def test_by_study(self, objects: Job, signed_in: Callable[..., Caller]) -> None:
        caller = signed_in("long-beach")
        assert items(caller, "consents?study=heart", "consent") == [SAMPLES["consent"]]
        assert items(caller, "consents?study=liver", "consent") == []
        refused(caller, "consents?study=%00", "study")
        refused(caller, "consents?subject=1", "subject", "field-unknown")


class TestStudies:
    """By the state in force."""

    def test_an_approval_that_has_lapsed_is_listed_as_expired(
        self, objects: Job, signed_in: Callable[..., Caller]
    ) -> None:
        caller = signed_in("zurich")
        assert items(caller, "studies?state=approved", "study") == ["heart"]
        assert items(caller, "studies?state=expired", "study") == []
        Study.objects.update(expires=clock.now() - timedelta(seconds=1))
        assert items(caller, "studies?state=approved", "study") == []
        assert items(caller, "studies?state=expired", "state") == ["expired"]
        refused(caller, "studies?state=agreed", "state")

    @pytest.mark.parametrize("state", sorted(set(StudyState) - {"approved"}))
    def test_the_list_and_the_study_agree(
        self, members: dict[str, Institution], signed_in: Callable[..., Caller], state: str
    ) -> None:
        Study.objects.create(
            slug="s", title="S", institution=members["zurich"], created=clock.now(), state=state
        ).sites.add(members["zurich"])
        caller = signed_in("zurich")
        assert [each for each in StudyState if items(caller, f"studies?state={each}", "study")] == [state]


def test_models_by_owner_and_name(objects: Job, signed_in: Callable[..., Caller]) -> None:
    caller = signed_in("mayo")
    model = ModelVersion.objects.get()
    assert items(caller, f"models?owner=cleveland&name={model.name}", "model") == [DIGEST]
    assert items(caller, "models?owner=budapest", "model") == items(caller, "models?name=other", "model") == []
    refused(caller, "models?owner=Cleveland%20Clinic", "owner")
    refused(caller, "models?name=", "name")


@pytest.mark.parametrize("role", ["party", "dealer", "requester", "owner"])
def test_institutions_by_role(signed_in: Callable[..., Caller], role: str) -> None:
    found = items(signed_in("mayo"), f"institutions?role={role}", "institution")
    assert sorted(found) == sorted(slug for slug, roles in ROLES.items() if role in roles)
    refused(signed_in("mayo"), "institutions?role=regulator", "role")


@pytest.mark.parametrize("path", ["institutions", "studies", "models", "definitions"])
def test_a_name_that_postgresql_cannot_look_for_is_nobodys(signed_in: Callable[..., Caller], path: str) -> None:
    assert signed_in("long-beach", scopes=" ".join(Scope)).get(f"{path}?after=%00").status_code == 404


@pytest.mark.parametrize("path", ["ledger/entries", f"subjects/{SAMPLES['subject']}/disclosures", "studies"])
def test_a_misspelt_parameter_widens_nothing(signed_in: Callable[..., Caller], path: str) -> None:
    caller = signed_in("long-beach", scopes=" ".join(Scope))
    refused(caller, f"{path}?sicne=2026-01-31", "sicne", "field-unknown")


@pytest.mark.parametrize("path", ["predictions", "audits", "consents", "webhooks", "erasures", "reliances"])
def test_a_name_that_is_none_is_nobodys_and_is_not_repeated(signed_in: Callable[..., Caller], path: str) -> None:
    answer = signed_in("long-beach", scopes=" ".join(Scope)).get(f"{path}?after=somebody")
    assert "somebody" not in str(check_problem(answer, 404, "not-found"))
