"""The form in which an investigator writes a protocol: it makes the protocol's document, and takes one apart again."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, cast, get_args

from django import forms
from django.forms import BaseFormSet

from concordat import protocol
from concordat.canonical import Json
from concordat.data_use import LABELS
from concordat.legal_basis import Ground
from concordat.protocol import AttachmentKind, Population
from concordat.reasons import Refused
from governance import words
from governance.models import Institution

_AREA = forms.Textarea(attrs={"rows": 3})
_DUO = [(code, f"{label} ({code})") for code, label in LABELS.items()]
_NONE = ("", "—")
_SECTION = re.compile(r"^##[ \t]+(.+)$", re.MULTILINE)

_PLACES: Mapping[str, str] = {
    "risks.minimal": "minimal",
    "risks.reidentification": "reidentification",
    "risks.misuse": "misuse",
    "data_use.study": "data_use",
}
"""Where a refusal's field is on the form, where it is called otherwise."""

_ROWS: Mapping[str, str] = {"bases": "bases", "data_use.datasets": "terms", "attachments": "needed"}
"""The same for the rows."""


class BasisForm(forms.Form):
    """One institution's ground for one purpose."""

    institution = forms.ChoiceField()
    purpose = forms.CharField(max_length=63)
    ground = forms.ChoiceField(choices=[_NONE, *((each.value, words.GROUNDS[each]) for each in Ground)])
    article6 = forms.ChoiceField(
        label="GDPR Article 6(1)",
        required=False,
        choices=[_NONE, *((letter, f"({letter}) {name}") for letter, name in words.ARTICLE_6.items())],
    )
    article9 = forms.ChoiceField(
        label="GDPR Article 9(2)",
        required=False,
        choices=[_NONE, *((letter, f"({letter}) {name}") for letter, name in words.ARTICLE_9.items())],
    )
    note = forms.CharField(label="Where this is laid down", required=False, max_length=2000)


class TermsForm(forms.Form):
    """What one institution's data allow."""

    institution = forms.ChoiceField()
    terms = forms.MultipleChoiceField(choices=_DUO, widget=forms.SelectMultiple(attrs={"size": 5}))


class NeededForm(forms.Form):
    """A document that must be attached."""

    kind = forms.ChoiceField(choices=[_NONE, *((each.value, words.ATTACHMENTS[each]) for each in AttachmentKind)])
    institution = forms.ChoiceField(required=False)


class DraftForm(forms.Form):
    """The protocol's fields, but its rows. Only the short name and the title must be there to save a draft."""

    study = forms.SlugField(label="Short name", max_length=63, help_text="Lower-case letters, digits and hyphens.")
    title = forms.CharField(max_length=200)
    institution = forms.ChoiceField(label="Leading institution")
    contact = forms.CharField(required=False, max_length=2000)
    summary = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 5}), help_text="In plain words.")
    computed = forms.CharField(label="What is computed", required=False, widget=_AREA)
    opened = forms.CharField(label="What is opened, and to whom", required=False, widget=_AREA)
    minimal = forms.BooleanField(label="No more than minimal risk (45 CFR 46.102(j))", required=False)
    reidentification = forms.CharField(label="Risk of re-identification", required=False, widget=_AREA)
    misuse = forms.CharField(label="Risk of misuse", required=False, widget=_AREA)
    kinds = forms.MultipleChoiceField(
        label="Which computations",
        required=False,
        initial=["explain"],
        choices=list(words.KINDS.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    population = forms.MultipleChoiceField(
        required=False,
        choices=[(each, words.POPULATIONS[each]) for each in get_args(Population)],
        widget=forms.CheckboxSelectMultiple,
    )
    sites = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    requesters = forms.MultipleChoiceField(label="Who may ask", required=False, widget=forms.CheckboxSelectMultiple)
    purposes = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Short names such as decision-support, one on each line.",
    )
    data_use = forms.MultipleChoiceField(
        label="What the study does with data, in codes of the Data Use Ontology",
        required=False,
        choices=_DUO,
        widget=forms.CheckboxSelectMultiple,
    )
    sections = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 14}),
        help_text="Each section begins with a line of its own: ## and the heading. Its text follows.",
    )
    review_months = forms.IntegerField(
        label="Months between reviews", required=False, min_value=1, max_value=12, initial=12
    )
    valid_until = forms.DateField(
        label="End of the study", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )


class Editor:
    """The whole form: the fields, and the rows of grounds, of data terms and of documents needed."""

    def __init__(
        self, content: Mapping[str, Any], leads: list[Institution], everybody: list[Institution], data: Any = None
    ) -> None:
        self.problems: dict[str, str] = {}
        self._before = content
        self.form = DraftForm(data, initial=_initial(content), label_suffix="")
        every = [(each.slug, str(each)) for each in everybody]
        lead = [(each.slug, str(each)) for each in leads]
        for name, choices in (("institution", lead), ("sites", every), ("requesters", every)):
            cast(forms.ChoiceField, self.form.fields[name]).choices = choices
        if content.get("study"):
            self.form.fields["study"].widget.attrs["readonly"] = True
        use = content.get("data_use") or {}
        self.bases = _rows("bases", BasisForm, [_flat(basis) for basis in content.get("bases", ())], every, data)
        self.terms = _rows("terms", TermsForm, list(use.get("datasets", ())), every, data)
        self.needed = _rows("needed", NeededForm, list(content.get("attachments", ())), every, data)

    def valid(self) -> bool:
        """Whether there is something to save; a protocol that could be submitted asks for more."""
        return all([self.form.is_valid(), self.bases.is_valid(), self.terms.is_valid(), self.needed.is_valid()])

    def content(self) -> dict[str, Json]:
        """The protocol's document, complete or not."""
        given = self.form.cleaned_data
        use = self._before.get("data_use") or {}
        terms = {dataset["institution"]: dataset["terms"] for dataset in use.get("datasets", ())}
        document: dict[str, Any] = {
            "v": 2,
            **{name: given[name].replace("\r\n", "\n") for name in ("study", "title", "institution", "contact")},
            **{name: given[name].replace("\r\n", "\n") for name in ("summary", "computed", "opened")},
            "risks": {name: given[name] for name in ("minimal", "reidentification", "misuse")},
            "data_use": {
                "study": _in_order(given["data_use"], use.get("study", ())),
                "datasets": [
                    {
                        "institution": row["institution"],
                        "terms": _in_order(row["terms"], terms.get(row["institution"], ())),
                    }
                    for row in _filled(self.terms)
                ],
            },
            "population": _in_order(given["population"], self._before.get("population", ())),
            "sections": split(given["sections"]),
            "requesters": _in_order(given["requesters"], self._before.get("requesters", ())),
            "purposes": given["purposes"].split(),
            "bases": [_basis(row) for row in _filled(self.bases)],
            "attachments": [{"kind": row["kind"], "institution": row["institution"]} for row in _filled(self.needed)],
            "sites": _in_order(given["sites"], self._before.get("sites", ())),
            "review_months": given["review_months"] or 12,
            "valid_until": self._until(given["valid_until"]),
        }
        if (kinds := _in_order(given["kinds"], protocol.kinds(self._before))) != ["explain"] or "kinds" in self._before:
            document["kinds"] = kinds
        return document

    def refuse(self, refused: Refused, sentence: str) -> None:
        """Show a refusal beside the field or the rows that it is about, or above the form."""
        for begin, rows in _ROWS.items():
            if refused.field == begin or refused.field.startswith(f"{begin}."):
                self.problems[rows] = sentence
                return
        name = _PLACES.get(refused.field, refused.field.partition(".")[0])
        self.form.add_error(name if name in self.form.fields else None, sentence)

    def _until(self, day: date | None) -> str:
        """Midnight (UTC) that day; an hour that an uploaded protocol states stays while its day does."""
        if day is None:
            return ""
        before = str(self._before.get("valid_until", ""))
        return before if before.startswith(day.isoformat()) else f"{day.isoformat()}T00:00:00Z"


def split(text: str) -> list[dict[str, str]]:
    """The sections of a text in which each begins with a line `## Heading`."""
    _, *parts = _SECTION.split(text.replace("\r\n", "\n"))
    return [
        {"heading": heading.strip(), "text": body.strip()}
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    ]


def join(sections: list[dict[str, str]]) -> str:
    """The other way round."""
    return "\n\n".join(f"## {section['heading']}\n{section['text']}" for section in sections)


def _initial(content: Mapping[str, Any]) -> dict[str, Any]:
    risks, use = content.get("risks") or {}, content.get("data_use") or {}
    return {
        **content,
        **{name: risks.get(name) for name in ("minimal", "reidentification", "misuse")},
        "kinds": protocol.kinds(content),
        "data_use": use.get("study"),
        "purposes": "\n".join(content.get("purposes", ())),
        "sections": join(content.get("sections", [])),
        "valid_until": str(content.get("valid_until", ""))[:10] or None,
    }


def _rows(prefix: str, row: type[forms.Form], initial: list[Any], institutions: Any, data: Any) -> BaseFormSet:
    formset = forms.formset_factory(row, extra=2, can_delete=bool(initial))
    rows = formset(data, prefix=prefix, initial=initial, form_kwargs={"label_suffix": ""})
    for each in rows.forms:
        cast(forms.ChoiceField, each.fields["institution"]).choices = [_NONE, *institutions]
    return rows


def _filled(rows: BaseFormSet) -> list[dict[str, Any]]:
    return [row for row in rows.cleaned_data if row and not row.get("DELETE")]


def _in_order(chosen: Sequence[str], before: Sequence[str]) -> list[str]:
    """What was chosen, in the order in which it stood before: another order would be a change of the protocol."""
    return [*(each for each in before if each in chosen), *(each for each in chosen if each not in before)]


def _flat(basis: Mapping[str, Any]) -> dict[str, Any]:
    return {**basis, **(basis["gdpr"] or {})}


def _basis(row: Mapping[str, Any]) -> dict[str, Any]:
    letters = {name: row[name] for name in ("article6", "article9")}
    gdpr = letters if any(letters.values()) else None
    return {**{name: row[name] for name in ("institution", "purpose", "ground")}, "gdpr": gdpr, "note": row["note"]}
