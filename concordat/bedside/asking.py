"""Questions about a result, as they come from the page's forms: understood first, and asked once that is confirmed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from concordat.bedside import questions
from concordat.bedside.bedside import Bedside
from concordat.bedside.item import Item
from concordat.bedside.questions import WhyAsked
from concordat.reasons import Reason, Refused
from concordat.schema import Value
from concordat.what_if import Change

_NO_WHAT_IFS = "The definition that the institutions approved allows no what-ifs."

Form = Mapping[str, str]


@dataclass(frozen=True)
class Mistake:
    """Why nothing came of what was typed, for the form from which it came, which still says it.

    `form` is `question` or `values`; `at` is the field of it to go on at, and `field` the one that is wrong, if one is.
    """

    form: Literal["question", "values"]
    typed: Form
    sentence: str
    detail: str
    field: str
    at: str


class Asking:
    """The questions of one bedside."""

    def __init__(self, bedside: Bedside) -> None:
        self._bedside = bedside

    @property
    def allowed(self) -> bool:
        """Whether the definition allows what-ifs."""
        return self._bedside.documents.definition["what_ifs"] > 0

    def understand(self, item: Item, form: Form) -> Change | WhyAsked:
        """What is asked about a record; nothing is sent yet.

        Raises:
            Refused: FIELD_INVALID for what is not understood, no change, or a what-if that is not allowed; what the
                schema refuses, rules that two values break included.
        """
        schema = self._bedside.documents.schema
        values = schema.encode_row(item.values).values
        asked = self._asked(form, values)
        if not isinstance(asked, WhyAsked):
            self._check_allowed()
            schema.encode_row({**values, **asked})
        return asked

    def mistake(self, form: Form, refused: Refused) -> Mistake:
        """What to say of a form that was not understood, and where."""
        if "question" in form or not self.allowed:
            unclear = refused.field == "question"
            sentence = "This question was not understood." if unclear else "This cannot be asked."
            return Mistake("question", {"question": "", **form}, sentence, refused.detail, "question", "question")
        names = [each.name for each in self._bedside.documents.schema.features]
        at = refused.field if refused.field in names else names[0]
        return Mistake("values", form, "This cannot be asked.", refused.detail, refused.field, at)

    def ask(self, item: Item, form: Form) -> None:
        """A confirmed question becomes a request of its own. Raises Refused(FIELD_INVALID) for what the page did not
        make, and for what is not allowed."""
        self._check_allowed()
        features = {each.name: each for each in self._bedside.documents.schema.features}
        try:
            once, given = str(UUID(form.get("once", ""))), json.loads(form.get("change", ""))
            change = {name: features[name].check(value) for name, value in given.items()}
        except (ValueError, KeyError, AttributeError):
            raise Refused(Reason.FIELD_INVALID, detail="Ask the question anew.", field="change") from None
        self._bedside.items.ask(item, change, once=once)

    def _asked(self, form: Form, values: Mapping[str, Value]) -> Change | WhyAsked:
        """What was typed, or which fields of the form differ from the record."""
        schema = self._bedside.documents.schema
        if "question" in form:
            asked = questions.understand(form["question"], schema, values)
            return asked if isinstance(asked, WhyAsked) else asked.change
        given = {each.name: each.check(each.parse(form.get(each.name, ""))) for each in schema.features}
        change = {name: value for name, value in given.items() if value != values[name]}
        if not change:
            raise Refused(Reason.FIELD_INVALID, detail="Change at least one value first.", field="what_if")
        return change

    def _check_allowed(self) -> None:
        if not self.allowed:
            raise Refused(Reason.FIELD_INVALID, detail=_NO_WHAT_IFS, field="what_ifs")
