"""The forms of a legal matter. What they ask for, the services check again."""

from datetime import timedelta
from typing import Any

from django import forms

from concordat import clock
from concordat.matters import ASSURANCES, AUTHORITIES, CHOSEN, FIELDS, PARTS, PRIVILEGES, closing
from governance.models import Institution, Matter, MatterDecision, OfficerProfile
from governance.services import grants, productions

_DAYS = 90


def _moment(label: str, help_text: str = "") -> forms.DateTimeField:
    return forms.DateTimeField(
        label=f"{label} (UTC)",
        help_text=help_text,
        initial=lambda: clock.now() + timedelta(days=_DAYS),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


def _lines(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows})


class Opening(forms.Form):
    """What a matter is; only where one may open it."""

    institution = forms.ModelChoiceField(Institution.objects.none(), empty_label=None)
    title = forms.CharField(max_length=200, label="Short title", help_text="Such as: Doe v. Long Beach.")
    docket = forms.CharField(
        max_length=200, label="Court and docket number", help_text="Or whatever reference the requesting party uses."
    )
    kind = forms.ChoiceField(choices=list(AUTHORITIES.items()), label="Authority")
    authority = forms.CharField(
        max_length=2000, widget=_lines(4), label="What the paper orders or allows", help_text="In its own words."
    )
    dated = forms.DateField(label="Date of the paper", widget=forms.DateInput(attrs={"type": "date"}))
    paper = forms.CharField(
        max_length=71,
        required=False,
        label="Digest of the paper",
        help_text="sha256: and 64 characters, of its scan, if you keep one. The scan itself stays with you.",
    )
    assurance = forms.ChoiceField(
        choices=[("", "None"), *ASSURANCES.items()],
        required=False,
        label="Satisfactory assurance",
        help_text="A subpoena needs one (45 CFR 164.512(e)(1)(ii)).",
    )
    party = forms.CharField(max_length=200, label="Requesting party")
    purpose = forms.CharField(max_length=2000, widget=_lines(2), help_text="What the decisions are read for.")
    protective_order = forms.CharField(
        max_length=2000,
        required=False,
        widget=_lines(3),
        help_text="What it says; empty if there is none. Every page that is produced then bears its legend.",
    )
    prefix = forms.CharField(
        max_length=12, label="Prefix of page numbers", help_text="Such as LBDOE: 2 to 12 capital letters and digits."
    )
    ends = _moment("End of the matter")
    records = forms.CharField(
        widget=_lines(3), label="Record numbers of the decisions", help_text="One a line, such as C-0000042-3."
    )

    def __init__(self, *args: Any, at: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["institution"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = at

    def clean_records(self) -> list[str]:
        return str(self.cleaned_data["records"]).split()


class Naming(forms.Form):
    number = forms.CharField(label="Record number", max_length=40)


class Prolonging(forms.Form):
    ends = _moment("New end of the matter")


class Giving(forms.Form):
    """Whom to let in."""

    reviewer = forms.ChoiceField(label="Legal reviewer")
    until = _moment("Until", "Not after the end of the matter.")

    def __init__(self, *args: Any, matter: Matter, by: OfficerProfile, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["reviewer"]
        assert isinstance(field, forms.ChoiceField)
        others = grants.reviewers(matter.institution).exclude(pk=by.pk)
        field.choices = [(str(each.uuid), each.name) for each in others]
        self.fields["until"].initial = min(matter.ends, clock.now() + timedelta(days=_DAYS))


class Marking(forms.Form):
    """What to withhold as privileged."""

    number = forms.ChoiceField(label="Decision")
    part = forms.ChoiceField(choices=list(PARTS.items()), label="What")
    ground = forms.ChoiceField(choices=list(PRIVILEGES.items()), label="Privilege")
    basis = forms.CharField(
        max_length=2000,
        widget=_lines(2),
        label="What the privilege log says of it",
        help_text="Enough to assess the claim, without what is privileged.",
    )

    def __init__(self, *args: Any, matter: Matter, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["number"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(each.record, each.record) for each in matter.decisions.all()]


class Choosing(forms.Form):
    """Whether a decision is in a production, and what is redacted in its files."""

    include = forms.BooleanField(required=False, initial=True, label="Produce it")

    def __init__(self, *args: Any, matter: Matter, decision: MatterDecision, **kwargs: Any) -> None:
        super().__init__(*args, prefix=f"d{decision.index}", **kwargs)
        self.decision = decision
        for name in productions.redactable(matter, decision):
            self.fields[name] = forms.ChoiceField(
                label=FIELDS[name],
                choices=[
                    ("", "Choose"),
                    ("open", "Open it"),
                    *((code, f"Redact: {text}") for code, text in CHOSEN.items()),
                ],
                required=False,
            )

    def clean(self) -> dict[str, Any]:
        """Nothing personal is opened because somebody forgot to say."""
        said = super().clean() or self.cleaned_data
        if said.get("include"):
            for name in self.fields:
                if name != "include" and not said.get(name):
                    self.add_error(name, "Say whether it is opened or redacted.")
            redacted = [name for name in self.fields if said.get(name) in CHOSEN]
            for name in closing(redacted) & {name for name in self.fields if said.get(name) == "open"}:
                held = next(FIELDS[each] for each in redacted if name in closing([each]))
                self.add_error(name, f"It holds “{held}”, which you redact: redact this, too.")
        return said

    @property
    def redactions(self) -> dict[str, str]:
        """The ground by field."""
        return {name: value for name, value in self.cleaned_data.items() if name != "include" and value != "open"}
