"""What a definition says of how much its model gives away: counted from public facts, and compared by everyone."""

from dataclasses import replace

import pytest

from concordat import canonical, definition, extraction
from concordat.kinds import KINDS
from concordat.reasons import Reason, Refused
from tests.concordat.conftest import GROUPS


def estimate(study, **budgets):
    changed = {"jobs_a_day": 10, "jobs": 1000, "scalars": 1000} | budgets
    return study.new_definition(budgets=changed)["extraction"]


def test_it_counts_what_is_opened_against_what_the_model_consists_of(study):
    """A network of 4 columns and 16 hidden units is 16·4 + 16 + 16 + 1 numbers; 4 groups open 8."""
    found = estimate(study)
    assert {name: found[name] for name in found if name != "statement"} == {
        "v": 1,
        "unknowns": 97,
        "ceiling": 24,
        "scalars_an_explanation": 8,
        "explanations": 125,
        "weights_after": 13,
    }


def test_a_linear_model_is_told_by_one_explanation(linear_study):
    found = estimate(linear_study)
    assert found["weights_after"] == 1
    assert "One explanation tells the model." in found["statement"]


def test_the_number_of_jobs_may_allow_less_than_the_numbers_opened(study):
    assert estimate(study, jobs=5)["explanations"] == 5


def test_the_choice_of_a_feature_is_one_number():
    shapes = KINDS["trees"].shapes(30, (50, 3))
    assert extraction.unknowns("trees", shapes) == 50 * 7 + 50 * 7 + 50 * 8 + 1
    assert extraction.unknowns("forest", KINDS["forest"].shapes(30, (50, 3))) == 50 * 7 + 50 * 7 + 50 * 8


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        (3, "stay within the ceiling of 24 opened numbers"),
        (4, "exceed the ceiling of 24 opened numbers"),
        (12, "exceed the ceiling of 24 opened numbers"),
        (13, "do not keep the model secret"),
    ],
)
def test_it_says_in_words_where_the_budgets_stand(study, jobs, words):
    assert words in estimate(study, jobs=jobs)["statement"]


@pytest.mark.parametrize("kind", ["forest", "linear", "mlp", "trees"])
def test_every_kind_that_was_attacked_says_what_was_found(kind):
    assert KINDS[kind].measured.startswith("Measured: ")


def test_a_network_of_several_classes_was_not_attacked():
    assert KINDS["mlp-classes"].measured == ""


def test_a_kind_of_which_no_attack_was_measured_says_so(study, monkeypatch):
    monkeypatch.setitem(KINDS, "mlp", replace(KINDS["mlp"], measured=""))
    assert estimate(study)["statement"].endswith("Not measured: nobody has attacked a model of this kind here.")


STATEMENT = (
    "An estimate by counting, not a proof; attacks may need fewer explanations. Each opens 8 numbers that depend "
    "on the secret model, which consists of 97; those of its canaries and what-ifs are among them. The budgets "
    "allow 125 explanations, so 1000 numbers; what is opened under other definitions of the model adds to them. "
    "After 13 explanations as many numbers are opened as the model consists of. These budgets do not keep the "
    "model secret from requesters who put their results together. Measured: on other patients, surrogates made of"
    " 16 explanations agreed with 96 % and 99 % of the decisions of two regularised networks of 16 hidden units "
    "and with 86 % of an overfitted one's; made of 4, with 90 %, 98 % and 83 %."
)


def test_the_words_are_signed_so_that_they_stay_as_they_are(study):
    assert estimate(study)["statement"] == STATEMENT


def refusal(study, document):
    with pytest.raises(Refused) as caught:
        definition.check(document, manifest=study.manifest, groups=GROUPS, mirrored=True)
    return caught.value.reason, caught.value.field


@pytest.mark.parametrize("field", list(extraction.Extraction.__annotations__))
def test_another_estimate_than_ours_is_refused(study, field):
    stated = study.definition["extraction"]
    other = "Nothing leaks." if field == "statement" else stated[field] + 1
    named = "extraction.v" if field == "v" else "extraction"
    changed = {**study.definition, "extraction": {**stated, field: other}}
    assert refusal(study, changed) == (Reason.FIELD_INVALID, named)


@pytest.mark.parametrize("budget", ["jobs", "scalars"])
def test_a_larger_budget_needs_another_estimate(study, budget):
    budgets = study.definition["budgets"]
    changed = {**study.definition, "budgets": {**budgets, "jobs": 20, budget: 2 * budgets[budget]}}
    assert refusal(study, changed) == (Reason.FIELD_INVALID, "extraction")


def test_a_design_of_other_groups_needs_another_estimate(study):
    with pytest.raises(Refused, match="give away"):
        definition.check(study.definition, manifest=study.manifest, groups=GROUPS + 1, mirrored=True)


def test_so_does_one_with_an_operator_that_requesters_choose(study):
    with pytest.raises(Refused, match="give away"):
        definition.check(study.definition, manifest=study.manifest, groups=GROUPS, mirrored=True, secret_operator=True)
    chosen = definition.extraction_of(study.definition, study.manifest, GROUPS, secret_operator=True)
    public = definition.extraction_of(study.definition, study.manifest, GROUPS)
    assert chosen | {"statement": ""} == public | {"statement": ""}
    assert "has other linear functions of the model's answers to the design's rows opened" in chosen["statement"]
    changed = {**study.definition, "extraction": chosen}
    assert (
        definition.check(changed, manifest=study.manifest, groups=GROUPS, mirrored=True, secret_operator=True)
        == changed
    )


def test_an_explanation_does_not_do_without(study):
    assert refusal(study, {**study.definition, "extraction": None}) == (Reason.FIELD_INVALID, "extraction")


def test_it_is_signed_with_the_definition(study):
    assert "An estimate by counting, not a proof" in canonical.encode(study.definition).decode()
