"""Members of an institution, and each officer's own passkeys."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from concordat.reasons import Reason, Refused
from governance import selectors
from governance.admin import answers
from governance.admin.base import ScopedReadOnly, institutions_of, user_of
from governance.admin.second_step import registration_challenge
from governance.models import Institution, Membership, Passkey
from governance.permissions import HOLDERS, Verb
from governance.services import invitations, people, registration, sign_in


class Invitation(forms.Form):
    """Whom to invite, and as what; only where one may."""

    email = forms.EmailField()
    name = forms.CharField(max_length=200, help_text="As it is printed under a signature.")
    institution = forms.ModelChoiceField(Institution.objects.none())
    role = forms.ChoiceField(choices=Membership.Role.choices)

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["institution"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = _invites_at(by)


@admin.register(Membership)
class MembershipAdmin(ScopedReadOnly):
    list_display = ("user", "role", "institution", "since", "end")
    list_display_links = ("user",)

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(institution__in=institutions_of(user))

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Whoever may end a role is shown where."""
        return self.list_display if self.has_add_permission(request) else self.list_display[:-1]

    @admin.display(description="")
    def end(self, membership: Membership) -> str:
        address = reverse("admin:governance_membership_remove", args=[membership.pk])
        return format_html('<a href="{}">Remove<span class="visually-hidden"> {}</span></a>', address, membership)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.remove_view)
        return [path("<int:pk>/remove/", view, name="governance_membership_remove"), *super().get_urls()]

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say what ends with a role, and end it when that is confirmed."""
        listed = reverse("admin:governance_membership_changelist")
        membership = self.get_queryset(request).filter(pk=pk).first()
        if membership is None:
            answers.show(request, Refused(Reason.NOT_FOUND))
            return HttpResponseRedirect(listed)
        if request.method == "POST":
            try:
                people.remove_member(by=user_of(request), membership=membership)
            except Refused as refused:
                answers.show(request, refused)
            else:
                messages.success(request, "Removed. Publish a roster without this person, if it lists them.")
            return HttpResponseRedirect(listed)
        title = "Remove a member"
        context = {**self.admin_site.each_context(request), "opts": self.opts, "membership": membership, "title": title}
        return TemplateResponse(request, "governance/remove_member.html", context)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _invites_at(user_of(request)).exists()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Invite somebody."""
        form = Invitation(request.POST or None, by=user_of(request))
        if request.method == "POST" and form.is_valid():
            try:
                membership = people.invite(by=user_of(request), **form.cleaned_data)
            except Refused as refused:
                answers.show(request, refused)
            else:
                _mail(request, membership)
                return HttpResponseRedirect(reverse("admin:governance_membership_changelist"))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form, "title": "Invite"}
        return TemplateResponse(request, "governance/invite.html", context)


@admin.register(Passkey)
class PasskeyAdmin(ScopedReadOnly):
    list_display = ("credential", "registered", "on_roster")
    change_list_template = "governance/passkeys.html"

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(officer__user=user)

    @admin.display(description="On a signed roster", boolean=True)
    def on_roster(self, passkey: Passkey) -> bool:
        mine = institutions_of(passkey.officer.user)
        rosters = [roster for each in mine if (roster := selectors.roster(each))]
        listed = {(line["credential"], line["key"]) for roster in rosters for line in roster.officers}
        return (passkey.credential, passkey.key) in listed

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("challenge/", wrap(answers.json_view(_challenge)), name="governance_passkey_challenge"),
            path("register/", wrap(answers.json_view(_register)), name="governance_passkey_register"),
        ]
        return own + super().get_urls()


def _invites_at(user: User) -> QuerySet[Institution]:
    return Institution.objects.filter(memberships__user=user, memberships__role__in=HOLDERS[Verb.INVITE]).distinct()


def _mail(request: HttpRequest, membership: Membership) -> None:
    """Whoever has a password already needs no link; the role is there all the same."""
    if membership.user.has_usable_password():
        messages.success(request, "Added. This person signs in as before.")
        return
    try:
        invitations.send(membership.user)
    except Refused as refused:
        answers.show(request, refused)
    else:
        messages.success(request, "Invited. A link to set a password is on its way by e-mail.")


def _challenge(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """A new passkey signs suspensions at once: whoever finds a browser signed in does not make one."""
    sign_in.check_password(request, answers.text(body, "password"))
    return registration_challenge(request, body)


def _register(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    passkey = registration.register(
        by=user_of(request), nonce=answers.text(body, "nonce"), registration=body.get("registration", {})
    )
    sign_in.keep(request)
    return {"credential": passkey.credential, "key": passkey.key, "state": "not on roster yet"}
