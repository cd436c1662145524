import copy
from datetime import UTC, datetime

import pytest

from concordat import canonical, definition
from concordat.kinds import KINDS
from concordat.reasons import Reason, Refused
from tests.concordat.conftest import GROUPS
from tests.support.audited import new_plan


def refusal(study, document, **arguments):
    with pytest.raises(Refused) as caught:
        definition.check(
            document, manifest=study.manifest, groups=GROUPS, mirrored=True, keyring=study.keyring, **arguments
        )
    return caught.value.reason, caught.value.field


def test_a_definition_for_a_model_that_keeps_its_weights(study):
    assert definition.check(study.definition, manifest=study.manifest, groups=GROUPS, mirrored=True) == study.definition


def test_it_has_a_digest_for_the_chain(study):
    assert len(canonical.digest_bytes(canonical.digest(study.definition))) == 32


@pytest.mark.parametrize("field", list(definition.Definition.__annotations__))
def test_every_field_is_required(study, field):
    document = {name: value for name, value in study.definition.items() if name != field}
    assert refusal(study, document) == (Reason.FIELD_MISSING, field)


class TestTargets:
    """A forest's 0 and 1 have no log-odds, and there is no secure softmax; every other kind of model is explained on
    either scale."""

    @pytest.mark.parametrize("target", ["log-odds", "probability"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_model_is_explained_on_the_scales_of_its_kind(self, study, kind, target):
        manifest = {**study.manifest, "kind": kind}
        disclosure = "full" if kind == "linear" else "none"
        document = {**study.definition, "model": canonical.digest(manifest), "target": target, "disclosure": disclosure}
        document["extraction"] = definition.extraction_of(document, manifest, GROUPS)
        token = definition.sign_disclosure(model=document["model"], study="chest-pain", key=study.keys["cleveland"])
        known = {"manifest": manifest, "groups": GROUPS, "mirrored": True}
        arguments = {**known, "disclosure": token, "keyring": study.keyring}
        only = {"forest": "probability", "mlp-classes": "log-odds"}
        if target != only.get(kind, target):
            with pytest.raises(Refused, match=f"“{kind}” is explained in: {only[kind]}") as caught:
                definition.check(document, **arguments)
            assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "target")
        else:
            assert definition.scale_of(definition.check(document, **arguments)) == target

    @pytest.mark.parametrize("target", ["odds", "Probability", "", None])
    def test_there_are_no_others(self, study, target):
        assert refusal(study, {**study.definition, "target": target}) == (Reason.FIELD_INVALID, "target")

    def test_what_explains_nothing_is_on_no_scale(self, study):
        with pytest.raises(Refused) as caught:
            definition.scale_of({**study.definition, "target": "none"})
        assert caught.value.reason is Reason.KIND_NOT_ALLOWED


def test_no_other_field_is_allowed(study):
    assert refusal(study, {**study.definition, "priority": "high"}) == (Reason.FIELD_UNKNOWN, "priority")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("v", 1, "v"),
        ("study", "Chest Pain", "study"),
        ("protocol", "sha256:0", "protocol"),
        ("kind", "guess", "kind"),
        ("kind", "train", "opened"),
        ("design", "", "design"),
        ("target", "none", "target"),
        ("impossible", "", "impossible"),
        ("impossible", "1.5", "impossible"),
        ("impossible", "-0.1", "impossible"),
        ("impossible", "5%", "impossible"),
        ("seed", "private", "seed"),
        ("seed", "lucky", "seed"),
        ("recipients", ["zurich"], "recipients"),
        ("recipients", [], "recipients"),
        ("data_use", [], "data_use"),
        ("data_use", ["DUO:0000006", "DUO:0000006"], "data_use"),
        ("data_use", ["GRU"], "data_use.0"),
        ("minimum_cell", 0, "minimum_cell"),
        ("audits", [{"kind": "fairness", "method": "m", "every_days": 0}], "audits.0.every_days"),
        ("audits", [{"kind": "tea", "method": "m", "every_days": 1}], "audits.0.kind"),
        ("audits", [{"kind": "fairness", "method": "m", "every_days": 1}] * 2, "audits"),
        ("emergent", "no", "emergent"),
        ("result_jurisdictions", [], "result_jurisdictions"),
        ("result_jurisdictions", ["BR"], "result_jurisdictions"),
        ("parties", ["cleveland"], "parties"),
        ("parties", ["cleveland", "budapest", "budapest"], "parties"),
        ("parties", ["budapest", "cleveland", "zurich"], "parties"),
        ("dealer", "zurich", "dealer"),
        ("requesters", [], "requesters"),
        ("purposes", ["a", "a"], "purposes"),
        ("opened", ["prediction"], "opened"),
        ("disclosure", "some", "disclosure"),
        ("jurisdictions", ["Switzerland"], "jurisdictions.0"),
        ("quorum", {"of": ["zurich"], "needed": 2}, "quorum.needed"),
        ("quorum", {"of": ["zurich"], "needed": 0}, "quorum.needed"),
        ("quorum", {"of": ["zurich", "zurich"], "needed": 1}, "quorum.of"),
        ("valid_until", "next year", "valid_until"),
    ],
)
def test_a_wrong_value_is_refused_by_name(study, field, value, named):
    assert refusal(study, {**study.definition, field: value}) == (Reason.FIELD_INVALID, named)


@pytest.mark.parametrize("budget", ["jobs_a_day", "jobs", "scalars"])
def test_every_budget_allows_something(study, budget):
    document = {**study.definition, "budgets": {**study.definition["budgets"], budget: 0}}
    assert refusal(study, document) == (Reason.FIELD_INVALID, f"budgets.{budget}")


PLAN = canonical.digest(new_plan())
OTHER = {
    "train": {"opened": ["model-shares"], "design": PLAN, "requesters": ["cleveland"], "recipients": ["cleveland"]},
    "audit": {"opened": ["counts"], "design": PLAN},
}


@pytest.mark.parametrize("kind", list(OTHER))
def test_institutions_may_agree_on_other_kinds_which_explain_nothing(linear_study, kind):
    study = linear_study
    document = study.new_definition(kind=kind, target="none", impossible="", **{"disclosure": "none"} | OTHER[kind])
    assert definition.check(document, manifest=study.manifest, groups=0, mirrored=False)["kind"] == kind
    for changes, field in (
        ({"design": ""}, "design"),
        ({"recipients": ["zurich"]}, "recipients"),
        ({"target": "log-odds"}, "target"),
        ({"target": "probability"}, "target"),
        ({"impossible": "0.05"}, "impossible"),
        ({"opened": definition.OPENED["explain"]}, "opened"),
    ):
        assert refusal(study, document | changes) == (Reason.FIELD_INVALID, field)


def test_an_audit_opens_no_figure_about_fewer_than_five_people(study):
    document = {**study.definition, "kind": "audit", "target": "none", "impossible": "", **OTHER["audit"]}
    for cell in (4, 1 << 24):
        assert refusal(study, document | {"minimum_cell": cell}) == (Reason.FIELD_INVALID, "minimum_cell")


def test_whose_rows_are_counted_does_not_open_the_counts(study):
    document = {**study.definition, "kind": "audit", "target": "none", "impossible": "", **OTHER["audit"]}
    party = document["parties"][0]
    changes = {"requesters": [party], "recipients": [party]}
    assert refusal(study, document | changes) == (Reason.FIELD_INVALID, "requesters")


def test_the_owner_alone_has_a_model_trained_and_this_version_trains_regressions(study, linear_study):
    terms = {"kind": "train", "target": "none", "impossible": "", "disclosure": "none"} | OTHER["train"]
    others = linear_study.new_definition(**terms | {"requesters": ["long-beach"], "recipients": ["long-beach"]})
    assert refusal(linear_study, others) == (Reason.FIELD_INVALID, "requesters")
    assert refusal(study, study.new_definition(**terms)) == (Reason.FIELD_INVALID, "kind")


def test_an_audit_opens_as_many_numbers_as_its_plan_has_cells(study):
    document = study.new_definition(kind="audit", target="none", impossible="", **OTHER["audit"])
    checked = definition.check(document, manifest=study.manifest, groups=24, mirrored=False)
    assert definition.opened_scalars(checked, 24) == 24


def test_a_model_of_several_classes_is_not_audited(study):
    tensors = [{"name": "output.bias", "shape": [3]}]
    manifest = {**study.manifest, "kind": "mlp-classes", "classes": ["a", "b", "c"], "tensors": tensors}
    document = study.new_definition(kind="audit", target="none", impossible="", **OTHER["audit"])
    with pytest.raises(Refused) as caught:
        definition.check(
            {**document, "model": canonical.digest(manifest)}, manifest=manifest, groups=24, mirrored=False
        )
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "kind")


def test_the_odd_part_is_opened_of_mirrored_designs_alone(study):
    """Whoever has the design refuses a definition that says otherwise of what it opens."""
    fewer = definition.opens("explain", mirrored=False)
    assert set(definition.OPENED["explain"]) - set(fewer) == {"odd_squares"}
    document = study.new_definition(opened=fewer)
    assert refusal(study, document) == (Reason.FIELD_INVALID, "opened")
    checked = definition.check(document, manifest=study.manifest, groups=GROUPS, mirrored=False)
    assert definition.opened_scalars(checked, GROUPS) == GROUPS + 3
    with pytest.raises(
        Refused, match="opens exactly: prediction, coefficients, intercept, sum_of_squares\\."
    ) as caught:
        definition.check(study.definition, manifest=study.manifest, groups=GROUPS, mirrored=False)
    assert caught.value.field == "opened"


def test_what_one_job_opens_is_counted(study):
    assert definition.opened_scalars(study.definition, 10) == 14
    assert definition.opened_scalars({**study.definition, "kind": "train"}, 10) == 0


def test_all_of_it_is_opened_for_each_of_several_classes(study):
    assert definition.opened_scalars(study.definition, 10, 3) == 3 * 14
    document = {**study.definition, "canaries": 2, "what_ifs": 2, "opened": [*study.definition["opened"], "what_ifs"]}
    assert definition.opened_scalars(document, 10, 3) == 3 * 3 * (14 + 2)
    of_classes = {**study.manifest, "classes": ["healthy", "ischaemia", "heart failure"]}
    one, three = (definition.extraction_of(document, manifest, 10) for manifest in (study.manifest, of_classes))
    assert three["scalars_an_explanation"] == 3 * one["scalars_an_explanation"]
    assert three["explanations"] < one["explanations"]


@pytest.mark.parametrize("field", ["model", "schema"])
def test_it_names_this_model_and_this_models_schema(study, field):
    other = {**study.definition, field: "sha256:" + "0" * 64}
    assert refusal(study, other) == (Reason.DIGEST_MISMATCH, field)


def test_each_border_needs_a_legal_basis(study):
    document = copy.deepcopy(study.definition)
    document["transfers"] = [each for each in document["transfers"] if (each["from"], each["to"]) != ("HU", "US")]
    assert refusal(study, document) == (Reason.TRANSFER_BASIS_MISSING, "transfers")


@pytest.mark.parametrize(
    "extra", [{"from": "US", "to": "HU", "basis": "twice"}, {"from": "US", "to": "FR", "basis": "x"}]
)
def test_no_transfer_stands_twice_or_goes_elsewhere(study, extra):
    document = {**study.definition, "transfers": [*study.definition["transfers"], extra]}
    assert refusal(study, document) == (Reason.FIELD_INVALID, "transfers")


def test_a_definition_ends(study):
    moment = datetime(2027, 1, 1, tzinfo=UTC)
    assert refusal(study, study.definition, now=moment) == (Reason.DEFINITION_EXPIRED, "valid_until")


class TestDisclosureOfLinearModels:
    """One explanation of a linear model tells its weights, so the owner has to say yes, by signature."""

    def statement(self, trial, **changes):
        fields = {
            "model": canonical.digest(trial.manifest),
            "study": "chest-pain",
            "key": trial.keys["cleveland"],
        }
        return definition.sign_disclosure(**{**fields, **changes})

    def test_the_owners_statement_and_the_definition_agree(self, linear_study):
        checked = definition.check(
            linear_study.definition,
            manifest=linear_study.manifest,
            groups=GROUPS,
            mirrored=True,
            disclosure=self.statement(linear_study),
            keyring=linear_study.keyring,
        )
        assert checked["disclosure"] == "full"

    def test_without_a_statement(self, linear_study):
        expected = (Reason.DISCLOSURE_REQUIRED, "disclosure")
        assert refusal(linear_study, linear_study.definition) == expected

    def test_in_probability_too(self, linear_study):
        document = {**linear_study.definition, "target": "probability"}
        assert refusal(linear_study, document) == (Reason.DISCLOSURE_REQUIRED, "disclosure")
        disclosed = {
            "groups": GROUPS,
            "mirrored": True,
            "disclosure": self.statement(linear_study),
            "keyring": linear_study.keyring,
        }
        assert definition.check(document, manifest=linear_study.manifest, **disclosed) == document

    def test_without_saying_so_in_the_definition(self, linear_study):
        document = {**linear_study.definition, "disclosure": "none"}
        expected = (Reason.DISCLOSURE_REQUIRED, "disclosure")
        assert refusal(linear_study, document, disclosure=self.statement(linear_study)) == expected

    @pytest.mark.parametrize("change", [{"model": "sha256:" + "0" * 64}, {"study": "another"}])
    def test_a_statement_about_something_else(self, linear_study, change):
        token = self.statement(linear_study, **change)
        expected = (Reason.DISCLOSURE_REQUIRED, "disclosure")
        assert refusal(linear_study, linear_study.definition, disclosure=token) == expected

    def test_a_statement_of_somebody_else(self, linear_study):
        token = self.statement(linear_study, key=linear_study.keys["zurich"])
        assert refusal(linear_study, linear_study.definition, disclosure=token)[0] is Reason.KEY_UNKNOWN

    def test_full_disclosure_of_any_model_needs_the_owner(self, study):
        document = {**study.definition, "disclosure": "full"}
        assert refusal(study, document) == (Reason.DISCLOSURE_REQUIRED, "disclosure")
