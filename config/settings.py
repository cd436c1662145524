"""The coordinator's settings: one module, read from CONCORDAT_* in the environment.

The defaults are the embedded ones (SQLite; chain and broker on this machine): for development and the demonstration.
`config.checks` refuses to start a production on them.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

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
        # secure_delete: a destroyed key must not linger in free pages. cache_size: 32 MB a connection, for the log's
        # indexes on random identifiers.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
        "PRAGMA secure_delete=ON; PRAGMA cache_size=-32768;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- broker: carries tickets and identifiers only; no result backend, which would store exception texts
REDIS_URL: str = env.str("CONCORDAT_REDIS_URL", default="redis://localhost:6379/0")

# --- chain
CHAIN_RPC: str = env.str("CONCORDAT_CHAIN_RPC", default="http://127.0.0.1:8545")
CHAIN_ID: int = env.int("CONCORDAT_CHAIN_ID", default=31338)
CHAIN_CONFIRMATIONS: int = env.int("CONCORDAT_CHAIN_CONFIRMATIONS", default=1)
CHAIN_SELF_HOSTED: bool = env.bool("CONCORDAT_CHAIN_SELF_HOSTED", default=True)
CHAIN_PATIENCE: int = env.int("CONCORDAT_CHAIN_PATIENCE", default=120)
CHAIN_MAX_FEE: int = env.int("CONCORDAT_CHAIN_MAX_FEE", default=500)
CHAIN_PASSPHRASE_FILE: str = env.str("CONCORDAT_CHAIN_PASSPHRASE_FILE", default="")
CHAIN_SIGNER_URL: str = env.str("CONCORDAT_CHAIN_SIGNER_URL", default="")
CHAIN_SIGNER_ADDRESS = _address("CONCORDAT_CHAIN_SIGNER_ADDRESS")
CHAIN_SIGNER_AUTHORITY: str = env.str("CONCORDAT_CHAIN_SIGNER_AUTHORITY", default="")
CHAIN_SIGNER_CLIENT: str = env.str("CONCORDAT_CHAIN_SIGNER_CLIENT", default="")
ANCHOR_ADDRESS = _address("CONCORDAT_ANCHOR_ADDRESS")
REGISTRY_ADDRESS = _address("CONCORDAT_REGISTRY_ADDRESS")
LOG_ORIGIN: str = env.str("CONCORDAT_LOG_ORIGIN", default="localhost/concordat")
WITNESS_SECONDS: int = env.int("CONCORDAT_WITNESS_SECONDS", default=10)

# --- time-stamping authority (RFC 3161); off unless its address is named
TSA_URL: str = env.str("CONCORDAT_TSA_URL", default="")
TSA_ROOT: str = env.str("CONCORDAT_TSA_ROOT", default="")
TSA_POLICY: str = env.str("CONCORDAT_TSA_POLICY", default="")
TSA_SECONDS: int = env.int("CONCORDAT_TSA_SECONDS", default=15)

# --- jobs
TICKET_SECONDS: int = env.int("CONCORDAT_TICKET_SECONDS", default=120)
RESERVATION_SECONDS: int = env.int("CONCORDAT_RESERVATION_SECONDS", default=60)
COMPUTE_SECONDS: int = env.int("CONCORDAT_COMPUTE_SECONDS", default=120)
TESTIMONY_SECONDS: int = env.int("CONCORDAT_TESTIMONY_SECONDS", default=86_400)
REQUESTS_TOGETHER: int = env.int("CONCORDAT_REQUESTS_TOGETHER", default=4)
BATCHES_AHEAD: int = env.int("CONCORDAT_BATCHES_AHEAD", default=1)

# --- calls to addresses that institutions name (key sets, webhooks): public machines only, unless in development
OUTBOUND_PRIVATE: bool = env.bool("CONCORDAT_OUTBOUND_PRIVATE", default=False)
OUTBOUND_CA: str = env.str("CONCORDAT_OUTBOUND_CA", default="")

# --- how often one caller may call, a minute: an institution, or before it is signed in an address
CALLS_A_MINUTE: dict[str, int] = {
    "token": env.int("CONCORDAT_TOKENS_A_MINUTE", default=120),
    "predictions": env.int("CONCORDAT_PREDICTIONS_A_MINUTE", default=60),
    "dossiers": env.int("CONCORDAT_DOSSIERS_A_MINUTE", default=30),
    "key-changes": env.int("CONCORDAT_KEY_CHANGES_A_MINUTE", default=10),
    "attachments": env.int("CONCORDAT_ATTACHMENTS_A_MINUTE", default=30),
    "subjects": env.int("CONCORDAT_SUBJECTS_A_MINUTE", default=30),
    "tiles": env.int("CONCORDAT_TILES_A_MINUTE", default=600),
    "writes": env.int("CONCORDAT_WRITES_A_MINUTE", default=600),
}

INSTALLED_APPS = [
    "config.admin_site.OfficersAdmin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
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
        # Before the admin's own templates of the same names, which its app, standing first, would have found.
        "DIRS": [BASE_DIR / "governance" / "templates"],
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
_PASSWORDS = ["old_password", "new_password1", "new_password2"]
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "code", "recovery_code", *_PASSWORDS]

# --- second factors; a link with which an invited person sets their own password
OTP_TOTP_ISSUER = "Concordat"
PASSWORD_RESET_TIMEOUT = 72 * 3600

# --- mail: invitations, and what people are told. Where no server is named, it stays in the state folder, to be read.
_EMAIL: dict[str, Any] = env.email_url("CONCORDAT_EMAIL_URL", default=f"filemail:///{STATE_DIR / 'mail'}")
EMAIL_BACKEND, EMAIL_FILE_PATH = _EMAIL["EMAIL_BACKEND"], _EMAIL["EMAIL_FILE_PATH"]
EMAIL_HOST, EMAIL_PORT = _EMAIL["EMAIL_HOST"], _EMAIL["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _EMAIL["EMAIL_HOST_USER"], _EMAIL["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _EMAIL.get("EMAIL_USE_TLS", False), _EMAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL: str = env.str("CONCORDAT_EMAIL_FROM", default="concordat@localhost")

# --- a hospital's own sign-in (OpenID Connect) in place of the password; off unless an issuer is named
OIDC_ISSUER: str = env.str("CONCORDAT_OIDC_ISSUER", default="")
OIDC_TRUSTED_AMR: list[str] = env.list("CONCORDAT_OIDC_TRUSTED_AMR", default=[])
OIDC_RP_CLIENT_ID: str = env.str("CONCORDAT_OIDC_CLIENT_ID", default="")
OIDC_RP_CLIENT_SECRET: str = env.str("CONCORDAT_OIDC_CLIENT_SECRET", default="")
OIDC_OP_AUTHORIZATION_ENDPOINT: str = env.str("CONCORDAT_OIDC_AUTHORIZATION_ENDPOINT", default="")
OIDC_OP_TOKEN_ENDPOINT: str = env.str("CONCORDAT_OIDC_TOKEN_ENDPOINT", default="")
OIDC_OP_USER_ENDPOINT: str = env.str("CONCORDAT_OIDC_USERINFO_ENDPOINT", default="")
OIDC_OP_JWKS_ENDPOINT: str = env.str("CONCORDAT_OIDC_JWKS_ENDPOINT", default="")
OIDC_RP_SIGN_ALGO: str = env.str("CONCORDAT_OIDC_SIGN_ALGORITHM", default="RS256")
OIDC_AUTHENTICATION_CALLBACK_URL = "admin:oidc_callback"
OIDC_CREATE_USER = False
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 10
if OIDC_ISSUER:
    AUTHENTICATION_BACKENDS.append("governance.services.oidc.HospitalSignIn")

# --- boards: how many days before a regular meeting its members have to be told; an urgent one needs no notice
MEETING_NOTICE_DAYS: int = env.int("CONCORDAT_MEETING_NOTICE_DAYS", default=3)

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = ["config.formats"]
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
# A hospital's sign-in sends the browser back from another site: it then needs the session that it began with.
SESSION_COOKIE_SAMESITE = "Lax" if OIDC_ISSUER else "Strict"
SESSION_COOKIE_AGE = 8 * 3600
CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- attachments of studies; through the API they come in base64, with a little around it
ATTACHMENT_BYTES: int = env.int("CONCORDAT_ATTACHMENT_BYTES", default=5 * 2**20)
DATA_UPLOAD_MAX_MEMORY_SIZE = max(4 * 2**20, ATTACHMENT_BYTES * 4 // 3 + 2**16)

# --- how promptly 45 CFR 46.108(a)(4) is meant here
PROBLEM_WORKING_DAYS: int = env.int("CONCORDAT_PROBLEM_WORKING_DAYS", default=5)
NONCOMPLIANCE_DAYS: int = env.int("CONCORDAT_NONCOMPLIANCE_DAYS", default=10)

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
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "GET_LIB_DOC_EXCLUDES": "api.openapi.say_nothing_of",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "api.openapi.add_refusals",
        "api.openapi.close_bodies",
    ],
}

# Django's own logging is silenced in favour of concordat.logs, which lets only allow-listed keys through.
LOGGING_CONFIG = None
