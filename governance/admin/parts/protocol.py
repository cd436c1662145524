"""A protocol in words: on which grounds, under which terms, with which risks, and what a new version changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from concordat import protocol
from concordat.events import Event
from concordat.legal_basis import Ground
from concordat.protocol import AttachmentKind
from governance import words
from governance.models import Institution, Study
from ledger import selectors as ledger

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One field before and after, as lines of text."""

    field: str
    before: list[str]
    after: list[str]
    material: bool


def glance(content: Content, sites: Mapping[str, Institution]) -> dict[str, Any]:
    """Who takes part, who is asked to, and what the protocol asks for besides."""
    return {
        "sites": [sites.get(slug, slug) for slug in content.get("sites", ())],
        "requesters": [sites.get(slug, slug) for slug in content.get("requesters", ())],
        "kinds": [words.KINDS[each] for each in protocol.kinds(content)],
        "population": [words.POPULATIONS.get(each, each) for each in content.get("population", ())],
        "needed": [
            (words.ATTACHMENTS[AttachmentKind(each["kind"])], sites.get(each["institution"], each["institution"]))
            for each in content.get("attachments", ())
        ],
    }


def differences(before: Content | None, after: Content | None) -> list[Difference]:
    """What changes, field by field; nothing where there is no earlier version."""
    if before is None or after is None:
        return []
    return [
        Difference(words.field(each.field), words.value(each.before), words.value(each.after), each.material)
        for each in protocol.changes(before, after)
    ]


def grounds(content: Content, sites: Mapping[str, Institution]) -> list[dict[str, Any]]:
    """On which legal ground each institution uses records for each purpose."""
    return [
        {
            "institution": sites.get(basis["institution"], basis["institution"]),
            "purpose": basis["purpose"],
            "ground": words.GROUNDS[Ground(basis["ground"])],
            "gdpr": _letters(basis["gdpr"]),
            "note": basis["note"],
        }
        for basis in content.get("bases", ())
    ]


def computed_so_far(study: Study) -> dict[str, int]:
    """What the log holds of the study's computations."""
    return {
        "predictions": ledger.entries(event=Event.PREDICTION_RECORDED, study=study.slug).count(),
        "explanations": ledger.entries(event=Event.EXPLANATION_RECORDED, study=study.slug).count(),
    }


def _letters(gdpr: Mapping[str, str] | None) -> str:
    if gdpr is None:
        return ""
    six, nine = gdpr["article6"], gdpr["article9"]
    return f"GDPR Art. 6(1)({six}) {words.ARTICLE_6[six]}; Art. 9(2)({nine}) {words.ARTICLE_9[nine]}"
