"""Where something is done: the addresses to which tasks, dates and messages lead."""

from django.urls import reverse

from governance.models import AgendaItem, Institution, Matter, Meeting, RelianceAgreement, Study


def of_study(study: Study, part: str = "") -> str:
    """The study's page, at one of its parts: boards, data-use, attachments, incidents, or a deed's form (act-…)."""
    return reverse("admin:governance_study_change", args=[study.pk]) + (f"#{part}" if part else "")


def of_draft(study: Study) -> str:
    """Where a protocol is written and submitted."""
    return reverse("admin:governance_draft", args=[study.uuid]) + "#submit"


def of_meeting(meeting: Meeting) -> str:
    """The meeting's own page."""
    return reverse("admin:governance_meeting_change", args=[meeting.pk])


def of_meetings() -> str:
    """Where meetings are listed, and called."""
    return reverse("admin:governance_meeting_changelist")


def of_item(item: AgendaItem) -> str:
    """Where a board votes on an item of its agenda."""
    return reverse("admin:governance_agendaitem_change", args=[item.pk]) + "#vote"


def of_agreement(agreement: RelianceAgreement) -> str:
    """Where agreements are listed, and signed."""
    return reverse("admin:governance_relianceagreement_changelist") + f"#agreement-{agreement.uuid}"


def of_delegations(board: Institution) -> str:
    """Where the board's delegations are listed, and signed."""
    return reverse("admin:governance_board", args=[board.slug]) + "#delegations"


def of_matter(matter: Matter) -> str:
    """The page of a legal matter, for whoever is let into it."""
    return reverse("admin:matter", args=[matter.uuid])
