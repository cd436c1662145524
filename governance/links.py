"""Where something is done: the addresses to which tasks, dates and messages lead."""

from django.urls import reverse

from governance.models import Meeting, RelianceAgreement, Study


def of_study(study: Study, part: str = "") -> str:
    """The study's page, at one of its parts: reviews, conditions, local-context, data-use, submit, incidents …"""
    return reverse("admin:governance_study_change", args=[study.pk]) + (f"#{part}" if part else "")


def of_meeting(meeting: Meeting) -> str:
    """Where the calendar lists the meeting."""
    return reverse("admin:calendar") + f"#meeting-{meeting.uuid}"


def of_agreement(agreement: RelianceAgreement) -> str:
    """Where the calendar lists the agreement."""
    return reverse("admin:calendar") + f"#agreement-{agreement.uuid}"


def of_delegations() -> str:
    """Where the calendar lists the delegations."""
    return reverse("admin:calendar") + "#delegations"
