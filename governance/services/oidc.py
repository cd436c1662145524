"""A hospital's own sign-in (OpenID Connect Core 1.0) in place of the password: it says who somebody is, never what they
may do. It finds an officer who is there already, by an e-mail address that the provider has verified, and makes none.

State, nonce, PKCE and the ID token's signature are checked by mozilla-django-oidc. What it leaves out is checked here:
issuer and audience (section 3.1.3.7), and that the user information is about the same person (section 5.3.2).
"""

from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

REQUIRED = ["exp", "iat", "iss", "aud", "sub", "nonce"]
LEEWAY_SECONDS = 30


class HospitalSignIn(OIDCAuthenticationBackend):  # type: ignore[misc]
    """Answers an existing officer, or nobody."""

    def _verify_jws(self, payload: str, key: Any) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                payload,
                key,
                algorithms=[self.OIDC_RP_SIGN_ALGO],
                audience=self.OIDC_RP_CLIENT_ID,
                issuer=settings.OIDC_ISSUER,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED},
            )
        except jwt.InvalidTokenError as error:
            raise SuspiciousOperation("The ID token is not valid here.") from error
        if claims.get("azp", self.OIDC_RP_CLIENT_ID) != self.OIDC_RP_CLIENT_ID:
            raise SuspiciousOperation("The ID token was made for another client.")
        return claims

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The user information; raises SuspiciousOperation if it is about somebody else than the ID token."""
        claims: dict[str, Any] = super().get_userinfo(access_token, id_token, payload)
        if claims.get("sub") != payload["sub"]:
            raise SuspiciousOperation("The user information is about somebody else.")
        return claims

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        """Whether the provider says that it has verified the address."""
        return claims.get("email_verified") is True and bool(claims.get("email"))

    def filter_users_by_claims(self, claims: dict[str, Any]) -> QuerySet[User]:
        """The officers with this address; more than one is nobody."""
        return User.objects.filter(email__iexact=claims["email"], is_active=True, is_staff=True, officer__isnull=False)

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> User | None:
        """The officer, and on the request how the provider says that it authenticated them (RFC 8176)."""
        user: User | None = super().get_or_create_user(access_token, id_token, payload)
        methods = payload.get("amr")
        self.request.oidc_amr = [each for each in methods if isinstance(each, str)] if isinstance(methods, list) else []
        return user

    def get_user(self, user_id: Any) -> User | None:
        """The officer of a session; an account that was closed meanwhile is nobody."""
        return User.objects.filter(pk=user_id, is_active=True).first()
