"""What all pages share: nothing can be changed or deleted, and everyone sees what concerns their institution."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from governance.models import Institution, Membership
from governance.services import reading


def user_of(request: HttpRequest) -> User:
    """The signed-in officer; the admin site lets nobody else through."""
    assert isinstance(request.user, User)
    return request.user


def institutions_of(user: User) -> QuerySet[Institution]:
    """Where this person is a member."""
    return Institution.objects.filter(memberships__user=user).distinct()


def entries_naming(value: object) -> str:
    """The address of the log's entries that name this: a request, a model, a definition or a consent."""
    return f"{reverse('admin:ledger_logentry_changelist')}?{urlencode({'q': value})}"


class ScopedReadOnly(ModelAdmin):  # type: ignore[type-arg]
    """Rights come from memberships, not from Django's permission tables, so that there is one place to look."""

    actions = None
    list_display_links: Any = None

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        """The rows that concern this person's institutions; each page says which."""
        raise NotImplementedError

    def in_log(self, row: Any) -> str:
        """The address of the log's entries about a row; empty where the log has none that name it."""
        return ""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **options: Any
    ) -> HttpResponse:
        shown = context | {"in_log": self.in_log(obj) if obj is not None else ""}
        return super().render_change_form(request, shown, *args, obj=obj, **options)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What happens to a row stands in the log; Django's own history, to which nothing writes, would be empty."""
        raise Http404

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
