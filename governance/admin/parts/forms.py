"""The forms behind the buttons that are done on the study's page, with the choices that each of them offers."""

from dataclasses import dataclass
from typing import Any

from concordat.determination import OUTCOMES, Outcome, Path
from concordat.findings import CATEGORIES, Criterion, needed, waives_consent
from governance import words
from governance.buttons import Button, Place
from governance.models import Review
from governance.services import reviews

_OWN = frozenset(
    {"continue-review", "withdraw", "route", "opine", "determine", "verify-conditions", "declare-conflict"}
    | {"file-local-context", "suspend", "terminate", "close"}
)
"""The deeds with a form here; the others have pages or parts of their own."""


@dataclass(frozen=True)
class Form:
    """One form: what is done, for which institution, and what there is to choose from."""

    button: Button
    template: str
    place: Place
    choices: dict[str, Any]


def forms(buttons: list[Button]) -> list[tuple[Button, list[Form]]]:
    """For each button that can be pressed, a form for each institution for which it can."""
    return [
        (button, [_form(button, place) for place in button.places])
        for button in buttons
        if button.enabled and button.deed.name in _OWN
    ]


def _form(button: Button, place: Place) -> Form:
    name = button.deed.name
    choices: dict[str, Any] = {}
    if place.review is not None and name == "route":
        choices = {"paths": _paths(place.review)}
    elif place.review is not None and name in ("determine", "opine"):
        path = Path(place.review.path)
        outcomes = OUTCOMES[path] if name == "determine" else frozenset(Outcome) - {Outcome.REFERRED}
        choices = {
            "minuted": name == "determine" and path is Path.FULL_BOARD,
            "outcomes": [(each, *words.OUTCOMES[each]) for each in Outcome if each in outcomes],
            "findings": _findings(place.review),
            "answers": list(words.FINDINGS.items()),
        }
    elif place.review is not None and name == "verify-conditions":
        decided = place.review.determinations.first()
        choices = {"conditions": decided.document["conditions"] if decided else []}
    return Form(button, f"governance/study/act_{name.replace('-', '_')}.html", place, choices)


def _findings(review: Review) -> dict[str, Criterion]:
    grounds = [basis["ground"] for basis in review.submission.version.content["bases"]]
    return needed(review.path, waiver=waives_consent(grounds))


def _paths(review: Review) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (path, words.PATHS[path], [(each, CATEGORIES[path][each]) for each in categories])
        for path, categories in reviews.open_paths(review).items()
    ]
