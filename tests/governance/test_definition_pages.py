"""A definition's own page says in words what is agreed; its document is behind a summary."""

import html
import json
import re

from django.urls import reverse

from concordat import canonical
from concordat.canonical import digest
from governance.models import Definition
from governance.services import model_cards, recalls
from ledger.selectors import document
from tests.governance.conftest import Consortium
from tests.support.audited import new_plan
from tests.support.officers import signed_in as browser


def page(consortium: Consortium, of: Definition, *, by: str = "zurich") -> str:
    client = browser(consortium.member(by, "irb-member"))
    answer = client.get(reverse("admin:governance_definition_change", args=[of.pk]))
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def test_it_names_what_is_read_with_units_and_ranges(consortium: Consortium) -> None:
    known = consortium.registered()
    shown = page(consortium, known)
    schema = canonical.decode(document(known.content["schema"]))
    assert isinstance(schema, dict)
    for feature in schema["features"]:
        assert feature["label"] in shown
        if feature["kind"] == "number":
            lowest, highest = (f"{float(end):g}" for end in feature["range"])
            assert f"{lowest} to {highest} {feature.get('unit_label', '')}".rstrip() in shown
    assert "18 to 110 years" in shown


def test_it_says_who_computes_how_often_until_when_and_how_it_is_explained(consortium: Consortium) -> None:
    known = consortium.registered()
    shown, content = page(consortium, known), known.content
    for text in (
        known.digest,
        content["model"],
        content["schema"],
        content["design"],
        content["valid_until"],
        ", ".join(content["parties"]),
        f"randomness is dealt by {content['dealer']}",
        f"{content['quorum']['needed']} of {len(content['quorum']['of'])} needed",
        f"{content['budgets']['scalars']} opened numbers",
        "a node that changes a result is not noticed",
        "perturbed records",
        "No vote yet.",
    ):
        assert text in shown


def test_it_shows_what_the_model_s_owner_states(consortium: Consortium) -> None:
    known = consortium.registered()
    assert "no model card of its owner is in force" in page(consortium, known)
    model_cards.describe(institution=consortium.at["cleveland"], token=consortium.card(known.content["model"]))
    assert "The hospital itself." in page(consortium, known)


def test_it_says_that_its_model_was_recalled_and_what_to_do(consortium: Consortium) -> None:
    known = consortium.registered()
    assert "Recalled" not in page(consortium, known)
    recalls.recall(institution=consortium.at["cleveland"], token=consortium.recall(known.content["model"]))
    client = browser(consortium.member("zurich", "irb-member"))
    study = client.get(reverse("admin:governance_study_change", args=[known.study.pk])).content.decode()
    for shown in (page(consortium, known), html.unescape(study)):
        assert "it gives wrong results (class I: use could reasonably be expected to cause serious harm" in shown
        assert "“Assess the risk without the model, and review what was decided since 2 March.”" in shown


def test_of_an_audit_it_says_what_is_counted(consortium: Consortium) -> None:
    model, study = consortium.import_model(), consortium.approved(kinds=["explain", "audit"])
    other = {"kind": "audit", "target": "none", "impossible": "", "opened": ["counts"], "design": digest(new_plan())}
    shown = page(consortium, consortium.register(consortium.content(study, model, **other)))
    assert "no count of fewer than 5 people is opened" in shown
    assert "coronary disease, within 365 days" in shown
    assert "women; men" in shown
    assert "0.3, 0.6" in shown
    assert "How it is explained" not in shown


def test_the_document_itself_is_there_to_be_unfolded(consortium: Consortium) -> None:
    known = consortium.registered()
    shown = page(consortium, known)
    before, _, details = shown.partition("<details>")
    assert '"parties":' not in before
    found = re.search(r"<pre[^>]*>(.*)</pre>", details, flags=re.S)
    assert found is not None
    assert json.loads(found[1]) == known.content


def test_the_page_needs_a_study_that_the_reader_sees(consortium: Consortium) -> None:
    known = consortium.registered()
    client = browser(consortium.member("notary", "auditor"))
    assert client.get(reverse("admin:governance_definition_change", args=[known.pk])).status_code == 302
