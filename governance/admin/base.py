"""What all pages share: nothing can be changed or deleted, and everyone sees what concerns their institution."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from governance.models import Institution, Membership
from governance.services import reading


def user_of(request: HttpRequest) -> User:
    """The signed-in officer; the admin site lets nobody else through."""
    assert isinstance(request.user, User)
    return request.user


def institutions_of(user: User) -> QuerySet[Institution]:
    """Where this person is a member."""
    return Institution.objects.filter(memberships__user=user).distinct()


class ScopedReadOnly(ModelAdmin):  # type: ignore[type-arg]
    """Rights come from memberships, not from Django's permission tables, so that there is one place to look."""

    actions = None
    list_display_links: Any = None

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        """The rows that concern this person's institutions; each page says which."""
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.scope(super().get_queryset(request), user_of(request))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what a page offers as a filter: counting the rows of any other filter tells what no page shows."""
        return lookup.partition("__")[0] in self.list_filter and lookup.count("__") <= 1

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_active and Membership.objects.filter(user=request.user.pk).exists())

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadsRecorded(ScopedReadOnly):
    """A page whose every reading the log keeps: of its list, and of each of its rows."""

    def read_about(self, row: Any) -> dict[str, Any]:
        """The study or institution that a row is about, as :func:`governance.services.reading.note` takes it."""
        raise NotImplementedError

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if self.has_view_permission(request):
            reading.note(reader=user_of(request), page=f"{self.opts.model_name}-list")
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is not None:
            reading.note(reader=user_of(request), page=str(self.opts.model_name), **self.read_about(row))
        return super().change_view(request, object_id, form_url, extra_context)
