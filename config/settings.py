"""The coordinator's settings: one module, read from CONCORDAT_* in the environment.

The defaults are the embedded ones (SQLite; chain and broker on this machine): for development and the demonstration.
`config.checks` refuses to start a production on them.
"""

from datetime import timedelta
from pathlib import Path

import environ
from eth_utils.address import is_hex_address, to_checksum_address

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def _address(name: str) -> str:
    """A contract's address with its EIP-55 checksum; what is none is left as it is and refused where it is used."""
    address = env.str(name, default="")
    return to_checksum_address(address) if is_hex_address(address) else address


PRODUCTION: bool = env.bool("CONCORDAT_PRODUCTION", default=False)
DEBUG: bool = env.bool("CONCORDAT_DEBUG", default=False)
SECRET_KEY: str = env.str("CONCORDAT_SECRET_KEY", default="embedded-default-not-for-production")
BASE_URL: str = env.str("CONCORDAT_BASE_URL", default="http://localhost:8000").rstrip("/")
ALLOWED_HOSTS: list[str] = env.list("CONCORDAT_ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = [BASE_URL]
STATE_DIR = Path(env.str("CONCORDAT_STATE", default=str(BASE_DIR / "var")))
KEYS_DIR = Path(env.str("CONCORDAT_KEYS", default=str(STATE_DIR / "keys")))

# --- database: SQLite unless told otherwise. WAL and IMMEDIATE make writers queue instead of failing half-way.
DATABASES = {"default": env.db_url("CONCORDAT_DATABASE_URL", default=f"sqlite:///{STATE_DIR / 'concordat.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        # secure_delete: a destroyed key must not linger in free pages.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
        "PRAGMA secure_delete=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- broker: carries tickets and identifiers only; no result backend, which would store exception texts
REDIS_URL: str = env.str("CONCORDAT_REDIS_URL", default="redis://localhost:6379/0")

# --- chain
CHAIN_RPC: str = env.str("CONCORDAT_CHAIN_RPC", default="http://127.0.0.1:8545")
CHAIN_ID: int = env.int("CONCORDAT_CHAIN_ID", default=31338)
CHAIN_CONFIRMATIONS: int = env.int("CONCORDAT_CHAIN_CONFIRMATIONS", default=1)
CHAIN_SELF_HOSTED: bool = env.bool("CONCORDAT_CHAIN_SELF_HOSTED", default=True)
ANCHOR_ADDRESS = _address("CONCORDAT_ANCHOR_ADDRESS")
REGISTRY_ADDRESS = _address("CONCORDAT_REGISTRY_ADDRESS")
LOG_ORIGIN: str = env.str("CONCORDAT_LOG_ORIGIN", default="localhost/concordat")

# --- jobs
TICKET_SECONDS: int = env.int("CONCORDAT_TICKET_SECONDS", default=120)
RESERVATION_SECONDS: int = env.int("CONCORDAT_RESERVATION_SECONDS", default=60)
COMPUTE_SECONDS: int = env.int("CONCORDAT_COMPUTE_SECONDS", default=120)

# --- how often one caller may call, a minute: an institution, or before it is signed in an address
CALLS_A_MINUTE: dict[str, int] = {
    "token": env.int("CONCORDAT_TOKENS_A_MINUTE", default=120),
    "predictions": env.int("CONCORDAT_PREDICTIONS_A_MINUTE", default=60),
    "dossiers": env.int("CONCORDAT_DOSSIERS_A_MINUTE", default=30),
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "axes",
    "config",
    "ledger",
    "governance",
    "compute",
    "api",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]


# --- wrong passwords: after five, this account is closed to this address for a while. No success is written down.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "config.addresses.client_address"
AXES_LOCKOUT_TEMPLATE = "governance/locked.html"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "static/"
STATIC_ROOT = STATE_DIR / "static"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 8 * 3600
CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 2**20

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.authentication.BearerToken"],
    "DEFAULT_PERMISSION_CLASSES": ["api.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["api.throttling.ByTheMinute"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["api.parsers.StrictJSON"],
    "DEFAULT_SCHEMA_CLASS": "api.openapi.ApiSchema",
    "EXCEPTION_HANDLER": "api.errors.problem_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Concordat",
    "DESCRIPTION": "REST interface for partner institutions and their nodes.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
}

# Django's own logging is silenced in favour of concordat.logs, which lets only allow-listed keys through.
LOGGING_CONFIG = None
