"""What is said of a result on the pages: each part is rendered by a template, and its showing noted in a receipt.

A receipt commits to exactly such a part: everything that is said of the result there, and nothing that changes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from concordat import clock, what_if
from concordat.bedside import cards, chart, limits, percent, view
from concordat.bedside.bedside import Bedside
from concordat.bedside.item import Item
from concordat.bedside.standing import Standing
from concordat.schema import EncodedRecord, Value

TEMPLATE, PATIENT_TEMPLATE, ANSWER_TEMPLATE = "bedside-page-v4", "bedside-patient-v3", "bedside-answer-v1"

PLACES = {cards.TEMPLATE: "card", TEMPLATE: "page", PATIENT_TEMPLATE: "for the patient"}
"""Where a text was shown, by its template."""

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Answered:
    """A question about a record as the page shows it: `answer` is what a receipt commits to, once there is one."""

    item: Item
    standing: Standing
    answer: str


class Articles:
    """The parts of one bedside's pages."""

    def __init__(self, bedside: Bedside) -> None:
        self._bedside = bedside
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["percent"] = percent.percent
        self._templates.filters["moment"] = _moment
        self._templates.filters["exact"] = _exact

    def render(self, template: str, **values: Any) -> str:
        """A page, or a part of one."""
        return self._templates.get_template(template).render(**values)

    def result(self, item: Item) -> str:
        """The result and its explanation."""
        assert item.result is not None
        documents, told, config = self._bedside.documents, item.result["explanation"], self._bedside.config
        shown = view.factors(told, documents.schema)
        scale = "log-odds" if told["target"] == "log-odds" else "percentage points of probability"
        return self.render(
            "article.html",
            told=told,
            predicted=percent.percent(told["probability"], config["threshold"]),
            threshold=percent.exact(config["threshold"]),
            doubt=self._bedside.doubt(item),
            kept=item.result,
            factors=shown,
            left=len(told["factors"]) - len(shown),
            scale=scale,
            drawing=Markup(chart.draw(shown, scale)),  # noqa: S704  (it escapes what it is given)
            taken=clock.rfc3339(item.oldest),
            stated=cards.STATED if item.stated else "",
            below=cards.below(item, config),
            no_interval=cards.NO_INTERVAL,
            documents=documents,
            card=limits.card_words(documents),
            limits=limits.attributes(documents, config),
        )

    def for_patient(self, item: Item) -> str:
        """The same in plain language."""
        assert item.result is not None
        told = item.result["explanation"]
        shown = view.factors(told, self._bedside.documents.schema)
        return self.render(
            "for_patient.html",
            title=self._bedside.config["title"],
            told=told,
            people=view.of_a_hundred(told["probability"]),
            raising=[each for each in shown if each.direction == "raises"],
            lowering=[each for each in shown if each.direction == "lowers"],
            record=item.result["record"],
            taken=clock.rfc3339(item.oldest)[:10],
            stated=item.stated,
            institution=self._bedside.institution,
            maker=self._bedside.documents.owner if self._bedside.documents.card else "",
        )

    def answered(self, question: Item, record: EncodedRecord) -> Answered:
        """A question about a record, and what there is to say of it now."""
        standing = self._bedside.standing(question)
        ready = standing == "ready" and question.result is not None
        schema = self._bedside.documents.schema
        row = self.render(
            "answer.html",
            words=what_if.say(question.change, schema, record.values, imputed=record.imputed),
            called="" if ready else self._bedside.words(question, standing)[0],
            probability=question.result["what_ifs"][0]["probability"] if ready and question.result else "",
        )
        return Answered(question, standing, row)

    def note(self, item: Item, template: str, rendered: str) -> None:
        """Write down that this was shown."""
        self._bedside.receipts.note(
            item, template=template, rendered=rendered, viewer=self._bedside.config["viewer"], decision="shown"
        )


def _exact(number: float) -> str:
    """A number so that it reads back as itself: a form that rounds would ask for changes that nobody made."""
    return repr(float(number)).removesuffix(".0")


def written(value: Value) -> str:
    """A checked value as a form's field writes it, and `Feature.parse` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    return _exact(value) if isinstance(value, int | float) else str(value)


def _moment(time: str) -> str:
    """A time of ours (RFC 3339) for people."""
    return cards.moment(clock.parse(time))
