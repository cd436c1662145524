"""Who may call what: a view declares one scope a method; a method without one is closed."""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from api.scopes import refusal
from concordat.reasons import Reason, Refused

if TYPE_CHECKING:  # rest_framework.views imports this module
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """The token covers the scope that the view declares in `scopes` for this method."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Raises Refused: SIGN_IN_REQUIRED without a token; when it does not cover this, SCOPE_MISSING, or ROLE_MISSING
        if no token of that institution can."""
        if request.auth is None:
            raise Refused(Reason.SIGN_IN_REQUIRED)
        needed = getattr(view, "scopes", {}).get(request.method)
        if needed is None:
            raise Refused(Reason.METHOD_NOT_ALLOWED)
        if needed not in request.auth.scopes:
            institution = request.auth.institution
            raise refusal(institution.slug, institution.roles, needed)
        return True
