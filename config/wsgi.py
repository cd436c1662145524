"""The coordinator's web application."""

import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_EXTENDED = re.compile(r"\*\s*=")
_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django's, for which a header counts as absent that gives a media type parameters in other character sets (RFC
    2231): no media type here has any, and Django fails, before it handles errors, for one that it cannot decode."""
    for name in ("CONTENT_TYPE", "HTTP_ACCEPT"):
        if _EXTENDED.search(environ.get(name, "")):
            environ = {key: value for key, value in environ.items() if key != name}
    return _django(environ, start_response)
