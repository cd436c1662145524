"""Officers at the site, for tests that are not about signing in: a browser that has passed both steps already."""

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client

from governance.services import sign_in
from governance.services.second_factors import Kind


def signed_in(user: User, client: Client | None = None) -> Client:
    """A client with a session of two factors, which insists on CSRF tokens, as a browser's server does."""
    client = client or Client(enforce_csrf_checks=True)
    client.force_login(user)
    request = HttpRequest()
    request.user, request.session = user, client.session
    sign_in.elevate(request, Kind.PASSKEY)
    request.session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
    return client
