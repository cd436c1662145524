"""Machine sign-in: a bearer token stands for an institution, never for a person."""

from dataclasses import dataclass

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from api.models import AccessToken
from concordat.reasons import Reason, Refused
from governance.models import Institution


@dataclass(frozen=True)
class Client:
    """Who calls: the institution, and the scopes that its token covers."""

    institution: Institution
    scopes: frozenset[str]


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer …` (RFC 6750). Sets `request.auth` to a :class:`Client`; `request.user` stays None.

    Raises Refused(SIGN_IN_REQUIRED) for a token that is unknown or has expired; without a header the request stays
    anonymous and the permissions decide.
    """

    def authenticate(self, request: Request) -> tuple[None, Client] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise Refused(Reason.SIGN_IN_REQUIRED, detail="Sign-in here is by bearer token.")
        found = AccessToken.objects.of(token)
        if found is None:
            raise Refused(Reason.SIGN_IN_REQUIRED, detail="The access token is unknown or no longer valid.")
        return None, Client(found.institution, frozenset(found.scopes.split()))

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="concordat"'
