"""Machine sign-in after SMART Backend Services: OAuth 2 client credentials with a signed JWT (RFC 7523), on Authlib.

https://hl7.org/fhir/smart-app-launch/backend-services.html. The client id is the institution's short name; its keys are
those of kind `client` that were enrolled for it and not revoked since: a JWK, a set of them, or the set at an address
that its offline key signed (`api.key_sets`). An assertion is good for five minutes at the most and for one token, which
is good for five minutes as well.
"""

import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from authlib.integrations.django_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import (
    ClientMixin,
    InsecureTransportError,
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    OAuth2Request,
    grants,
)
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from api.errors import problem
from api.key_sets import keys_of
from api.models import AccessToken, FetchedKeySet, UsedAssertion
from api.scopes import allowed, refusal
from concordat import clock
from concordat.canonical import digest
from concordat.client_keys import ALGORITHMS, signing_keys
from concordat.fields import Slug, read
from concordat.reasons import Reason, Refused
from governance.models import Institution, InstitutionKey
from governance.services import institutions

TOKEN_SECONDS = 300
ASSERTION_SECONDS = 300
LEEWAY_SECONDS = 30

_LONGEST_ASSERTION = 8192
_LONGEST_JTI = 255


def token_url() -> str:
    """The audience of every client assertion."""
    return f"{settings.BASE_URL}/api/v1/token"


class InstitutionClient(ClientMixin):
    """An enrolled institution as Authlib's client. `signed_with` is the enrolled key, and the public JWK, by which its
    assertion was verified."""

    def __init__(self, institution: Institution) -> None:
        self.institution = institution
        self.signed_with: tuple[InstitutionKey, dict[str, Any]] | None = None

    def get_client_id(self) -> str:
        return self.institution.slug

    def get_allowed_scope(self, scope: str) -> str:
        mine = allowed(self.institution.roles)
        return " ".join(name for name in scope.split() if name in mine)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == ClientAssertion.CLIENT_AUTH_METHOD and endpoint == "token"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == grants.ClientCredentialsGrant.GRANT_TYPE


class ClientAssertion(JWTBearerClientAssertion):
    """`private_key_jwt`, stricter than Authlib's own: a key's own algorithm, a bounded life, a durable replay table."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self) -> None:
        super().__init__(leeway=LEEWAY_SECONDS)

    def __call__(self, query_client: Any, request: OAuth2Request) -> InstitutionClient | None:
        if len(request.form.get("client_assertion", "")) > _LONGEST_ASSERTION:
            raise InvalidClientError(description="The assertion is too long.")
        try:
            return super().__call__(query_client, request)
        except RecursionError as error:  # Authlib reads claims, before they are verified, however deep they are
            raise InvalidClientError(description="This is no signed JWT.") from error

    def get_audiences(self) -> list[str]:
        return [token_url()]

    def resolve_client_public_key(self, client: InstitutionClient) -> InstitutionClient:
        """Whose keys they are: which of them it must be is for the assertion's header to say, which comes later."""
        return client

    def process_assertion_claims(self, assertion: str, resolve_key: InstitutionClient) -> dict[str, Any]:
        header = _header(assertion)
        enrolled, keys = _fit(resolve_key.institution, header)
        for key in keys:
            # A key is tried with its own algorithm only: no header chooses how a key is used.
            with suppress(JoseError, ValueError, TypeError):
                token = jwt.decode(assertion, import_key(key), algorithms=[key["alg"]])
                self.verify_claims(token.claims)
                resolve_key.signed_with = enrolled, key
                return token.claims
        raise InvalidClientError(description="The signature is not one of an enrolled client key.")

    def validate_jti(self, claims: dict[str, Any], jti: str) -> bool:
        """Bounds the assertion's life as well: the table must remember it only that long."""
        if claims["exp"] > time.time() + ASSERTION_SECONDS + LEEWAY_SECONDS:
            raise InvalidClientError(description="The assertion may be valid for five minutes at most.")
        if not (0 < len(jti) <= _LONGEST_JTI and jti.isprintable()):  # PostgreSQL keeps no U+0000
            raise InvalidClientError(description="The assertion's jti has between 1 and 255 printable characters.")
        forget_after = datetime.fromtimestamp(claims["exp"] + LEEWAY_SECONDS, UTC)
        return UsedAssertion.objects.use(issuer=claims["iss"], jti=jti, expires=forget_after)


def _header(assertion: str) -> dict[str, Any]:
    """The assertion's header, as far as it is one that may count. Raises InvalidClientError."""
    try:
        header = jws.extract_compact(assertion.encode()).headers()
    except (JoseError, ValueError) as error:
        raise InvalidClientError(description="This is no signed JWT.") from error
    if header.get("alg") not in ALGORITHMS:
        raise InvalidClientError(description=f"An assertion is signed with {' or '.join(ALGORITHMS)}.")
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise InvalidClientError(description="`typ` is JWT: another kind of token was signed for another purpose.")
    if not isinstance(header.get("kid", ""), str):
        raise InvalidClientError(description="`kid` is a text.")
    if "crit" in header:
        raise InvalidClientError(description="`crit` names extensions of JWS, of which none is understood here.")
    return header


def _enrolled(institution: Institution) -> InstitutionKey | None:
    return institution.keys.filter(kind=InstitutionKey.Kind.CLIENT, revoked=None).first()


def _fit(institution: Institution, header: dict[str, Any]) -> tuple[InstitutionKey, list[dict[str, Any]]]:
    """The institution's client key, and the JWKs of it that may have made a signature with this header. Raises
    InvalidClientError for none."""
    enrolled = _enrolled(institution)
    if enrolled is None:
        raise InvalidClientError(description="The institution has no client key that is not revoked.")
    address, name = enrolled.public.get("jwks_url"), header.get("kid", "")
    if header.get("jku", address) != address:
        raise InvalidClientError(description="`jku` is not the address that the institution's offline key signed.")
    keys = signing_keys(enrolled.public) if address is None else keys_of(enrolled, wanted=name)
    fit = [key for key in keys if key["alg"] == header["alg"] and name in {"", key["kid"]}]
    if not fit:
        raise InvalidClientError(description="No enrolled client key has this `kid` and this algorithm.")
    return enrolled, fit


def _still_counts(client: InstitutionClient) -> bool:
    """Whether the key that bought the token is the institution's still. Whoever takes it away has locked the
    institution (`governance.services.institutions.lock`), as the caller has."""
    assert client.signed_with is not None
    enrolled, key = client.signed_with
    if _enrolled(client.institution) != enrolled:
        return False
    if "jwks_url" not in enrolled.public:
        return True
    return digest(key) in map(digest, FetchedKeySet.objects.get(key=enrolled).keys)


class ScopeRefused(InvalidScopeError):
    """RFC 6749's error, for a reason of ours."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(description=refused.detail)
        self.refused = refused


class ClientCredentials(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = [ClientAssertion.CLIENT_AUTH_METHOD]

    def validate_requested_scope(self) -> None:
        """At least one of the scopes asked for must be open to the institution's roles; the answer names them."""
        asked = self.request.payload.scope or ""
        if not self.client.get_allowed_scope(asked):
            institution = self.client.institution
            raise ScopeRefused(refusal(institution.slug, institution.roles, next(iter(asked.split()), "")))


class Server(AuthorizationServer):
    """Authlib's server over our tables."""

    def query_client(self, client_id: str) -> InstitutionClient | None:
        try:
            institution = Institution.objects.filter(slug=read(client_id, Slug)).first()
        except Refused:
            return None
        return InstitutionClient(institution) if institution else None

    def create_token_response(self, request: HttpRequest) -> HttpResponse:
        if request.GET:  # Authlib would read them there too, and addresses are written to logs
            description = "Parameters stand in the body, none in the address."
            return self.handle_error_response(None, InvalidRequestError(description=description))
        if any(len(values) > 1 for _, values in request.POST.lists()):  # RFC 6749, section 3.2
            return self.handle_error_response(None, InvalidRequestError(description="A parameter stands twice."))
        try:
            return super().create_token_response(request)
        except InsecureTransportError as error:  # which Authlib raises before it begins to handle errors
            return self.handle_error_response(None, error)

    @transaction.atomic
    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """Raises InvalidClientError if the key was taken away since it was looked at: that ended the tokens which were
        there, and this one would have outlived it."""
        client: InstitutionClient = request.client
        # First of all: whoever takes the key away locks the institution, then deletes its tokens. Two transactions that
        # took these in different orders would wait for each other, and the revocation might be the one that is ended.
        institutions.lock(client.institution)
        if not _still_counts(client):
            raise InvalidClientError(description="The client key was changed meanwhile.")
        AccessToken.objects.filter(institution=client.institution).forget_expired()
        UsedAssertion.objects.filter(issuer=client.institution.slug).forget_expired()
        AccessToken.objects.issue(
            token["access_token"],
            institution=client.institution,
            scopes=token["scope"],
            expires=clock.now() + timedelta(seconds=token["expires_in"]),
        )

    def create_bearer_token_generator(self) -> BearerTokenGenerator:
        return BearerTokenGenerator(
            access_token_generator=lambda *_args, **_kwargs: secrets.token_urlsafe(32),
            expires_generator=TOKEN_SECONDS,
        )

    def handle_error_response(self, request: OAuth2Request | None, error: OAuth2Error) -> HttpResponse:
        """RFC 6749's `error` and `error_description`, and the problem details that every other refusal has."""
        status, body, headers = error()
        if isinstance(error, InvalidClientError):
            refused = Refused(Reason.SIGN_IN_REFUSED, detail=error.description)
            status = refused.info.status
        elif isinstance(error, ScopeRefused):
            refused = error.refused
        else:
            refused = Refused(Reason.FIELD_INVALID, detail=error.description)
        details = problem(refused) | {"status": status}
        return self.handle_response(status, details | dict(body), headers)


def build_server() -> Server:
    """The authorization server: one grant, one way to authenticate."""
    server = Server(client_model=None, token_model=AccessToken)
    server.register_grant(ClientCredentials)
    server.register_client_auth_method(ClientAssertion.CLIENT_AUTH_METHOD, ClientAssertion())
    return server
