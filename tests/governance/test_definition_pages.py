"""A definition's own page says in words what is agreed; its document is behind a summary."""

import html
import json
import re

from django.urls import reverse

from concordat import canonical
from governance.models import Definition
from ledger.selectors import document
from tests.governance.conftest import Consortium
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
