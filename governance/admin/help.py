"""Help: who may do what, and in which state; written from the tables that decide it."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from governance import rulebook
from governance.admin.second_step import show


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The rule book."""
    roles, held = rulebook.roles()
    states, allowed = rulebook.study_states()
    by_verb = dict(allowed)
    rows = [
        {
            "verb": verb,
            "roles": [name for name, may in zip(roles, flags, strict=True) if may],
            "states": [name for name, may in zip(states, by_verb.get(verb, ()), strict=False) if may],
            "everywhere": verb not in by_verb,
        }
        for verb, flags in held
    ]
    matrix = [(verb, list(zip(roles, flags, strict=True))) for verb, flags in held]
    return show(request, "help.html", "Help", machines=rulebook.MACHINES, rows=rows, roles=roles, matrix=matrix)
