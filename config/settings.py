"""Settings of the site, all from the environment (`.env.example` lists every variable).

Only wiring lives here. Secrets have a default only while DEBUG is on.
"""

import os
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from config.logging import logging_configuration

BASE_DIR = Path(__file__).resolve().parent.parent


def _flag(name: str, default: bool = False) -> bool:
    return os.environ.get(name, str(default)).strip().lower() in {"1", "true", "yes", "on"}


def _words(name: str, default: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


DEBUG = _flag("DEBUG")
SECRET_KEY = os.environ.get("SECRET_KEY") or ("only-for-debugging" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY is not set: put a long random value into the environment")
ALLOWED_HOSTS = _words("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1],testserver")
CSRF_TRUSTED_ORIGINS = _words("CSRF_TRUSTED_ORIGINS", "")

# --- addresses (DESIGN.md, "Addresses") -------------------------------------------------------
ROBOTS_DOOR_PORT = int(os.environ.get("ROBOTS_DOOR_PORT", "8080"))
LEGACY_PORT = int(os.environ.get("LEGACY_PORT", "8000"))
OWN_DOOR_PORT = int(os.environ.get("OWN_DOOR_PORT", "8001"))
INGEST_PORT = int(os.environ.get("INGEST_PORT", "8011"))
SITE_PORT = int(os.environ.get("SITE_PORT", "8012"))
LIVE_PORT = int(os.environ.get("LIVE_PORT", "8013"))
ENVOY_ADMIN_PORT = int(os.environ.get("ENVOY_ADMIN_PORT", "9901"))
LEGACY_URL = os.environ.get("LEGACY_URL", f"http://127.0.0.1:{LEGACY_PORT}")
#: name=admin URL|robots' door URL, one per proxy, separated by commas
PROXIES = _words("PROXIES", f"front-a=http://127.0.0.1:{ENVOY_ADMIN_PORT}|http://127.0.0.1:{ROBOTS_DOOR_PORT}")

# --- state on disk: what must work without a database -----------------------------------------
STATE_DIR = Path(os.environ.get("STATE_DIR", BASE_DIR / "var"))
#: routes/, robots/ and the latch live here; Envoy watches it
ENVOY_STATE_DIR = Path(os.environ.get("ENVOY_STATE_DIR", STATE_DIR / "envoy"))
#: rollbacks and audit entries that could not reach the database yet
SPOOL_DIR = Path(os.environ.get("SPOOL_DIR", STATE_DIR / "spool"))

# --- the migration ----------------------------------------------------------------------------
#: one week of a phase takes one week divided by this; evidence is never scaled (DESIGN invariant 10)
MIGRATION_TIME_SCALE = float(os.environ.get("MIGRATION_TIME_SCALE", "1"))
#: what build of `new` runs; evidence and votes are void when it changes
NEW_BUILD = os.environ.get("NEW_BUILD", "dev")
#: "required" or "waived": no alert pipeline is installed here, which every screen then says
ALERT_PIPELINE = os.environ.get("ALERT_PIPELINE", "required")
#: the bearer secret of Alertmanager's webhook; empty: nobody may send alerts
ALERTMANAGER_TOKEN = os.environ.get("ALERTMANAGER_TOKEN", "")
#: the rule that always fires: as long as it arrives, silence means that nothing is wrong
ALERT_PIPELINE_ALERT = os.environ.get("ALERT_PIPELINE_ALERT", "Watchdog")
#: run when an emergency finds legacy unhealthy; empty means nobody can restart it from here
LEGACY_RESTART_COMMAND = os.environ.get("LEGACY_RESTART_COMMAND", "")
#: brings a deployment that legacy's API cannot express into it; empty: nobody does (docs/sync.md)
LEGACY_DEPLOY_COMMAND = os.environ.get("LEGACY_DEPLOY_COMMAND", "")
#: start scratch copies for A/B tests of calls with effects; empty: an address has to be given
SCRATCH_LEGACY_COMMAND = os.environ.get("SCRATCH_LEGACY_COMMAND", "")
SCRATCH_NEW_COMMAND = os.environ.get("SCRATCH_NEW_COMMAND", "")
#: robots that may go to legacy and forward again to rehearse the way back; without one an id of the door's own goes
REHEARSAL_ROBOTS = _words("REHEARSAL_ROBOTS", "")
#: "required", or "waived": the way back is not rehearsed here, which every screen then says
REHEARSALS = os.environ.get("REHEARSALS", "required")
#: how often, and how old the latest proof may be before it locks steps forward, seconds (real time)
REHEARSAL_SECONDS = float(os.environ.get("REHEARSAL_SECONDS", "300"))
REHEARSAL_PROOF_SECONDS = float(os.environ.get("REHEARSAL_PROOF_SECONDS", "900"))
#: base backups of the database server and the WAL since, for a restore to a moment; empty: there is none here
WAL_ARCHIVE_DIR = os.environ.get("WAL_ARCHIVE_DIR", "")
BASE_BACKUP_DIR = Path(os.environ.get("BASE_BACKUP_DIR", STATE_DIR / "base-backups"))
BASE_BACKUP_SECONDS = float(os.environ.get("BASE_BACKUP_SECONDS", "3600"))
#: PostgreSQL's own programs, of the server's version; empty: those of the installed wheel
PG_BIN_DIRECTORY = os.environ.get("PG_BIN_DIRECTORY", "")
#: how often a robot speaks when it did not say so itself, seconds
ROBOT_INTERVAL_SECONDS = float(os.environ.get("ROBOT_INTERVAL_SECONDS", "30"))

# --- backups and the checklist -------------------------------------------------------------------
#: PostgreSQL's own programs; empty: those of the installed wheel, else those on the PATH
PG_BIN_DIRECTORY = os.environ.get("PG_BIN_DIRECTORY", "")
BACKUP_DIRECTORY = Path(os.environ.get("BACKUP_DIRECTORY", STATE_DIR / "backups"))
BACKUP_EVERY_HOURS = float(os.environ.get("BACKUP_EVERY_HOURS", "6"))
BACKUP_KEEP_DAYS = float(os.environ.get("BACKUP_KEEP_DAYS", "30"))
#: raw heartbeats of older days are left out of backups, which then say so; 0: nothing is left out
BACKUP_RAW_DAYS = int(os.environ.get("BACKUP_RAW_DAYS", "0"))
BACKUP_TIMEOUT_SECONDS = float(os.environ.get("BACKUP_TIMEOUT_SECONDS", "3600"))
#: "processes" or "containers": whether Docker is part of what must be there
DEPLOYMENT = os.environ.get("DEPLOYMENT", "processes")
#: checks that this installation does without: name=why; name=why
PRECHECKS_WAIVED = os.environ.get("PRECHECKS_WAIVED", "")
PRECHECK_MEMORY_GB = float(os.environ.get("PRECHECK_MEMORY_GB", "16"))
PRECHECK_DISK_GB = float(os.environ.get("PRECHECK_DISK_GB", "100"))
#: threads of the site and of all workers: each may hold a database connection
SITE_THREADS = int(os.environ.get("SITE_THREADS", "8"))
WORKER_THREADS = int(os.environ.get("WORKER_THREADS", "4"))
PROMETHEUS_URL = os.environ.get("PROMETHEUS_URL", "http://127.0.0.1:9090")
ALERTMANAGER_URL = os.environ.get("ALERTMANAGER_URL", "http://127.0.0.1:9093")
GRAFANA_URL = os.environ.get("GRAFANA_URL", "http://127.0.0.1:3000")

# --- telling people (docs/alerts.md) ----------------------------------------------------------
#: incoming webhooks of the two channels, as Slack, Mattermost and Rocket.Chat have them; secrets
NOTIFY_STATUS_WEBHOOK = os.environ.get("NOTIFY_STATUS_WEBHOOK", "")
NOTIFY_ALERTS_WEBHOOK = os.environ.get("NOTIFY_ALERTS_WEBHOOK", "")
#: webhooks that get everything as JSON, signed with the secret; separated by commas
NOTIFY_WEBHOOKS = _words("NOTIFY_WEBHOOKS", "")
NOTIFY_WEBHOOK_SECRET = os.environ.get("NOTIFY_WEBHOOK_SECRET", "")
#: who gets e-mail of the alerts channel
NOTIFY_EMAIL = _words("NOTIFY_EMAIL", "")
#: anything else that apprise knows, by its URLs, separated by blanks; the alerts channel
NOTIFY_APPRISE = os.environ.get("NOTIFY_APPRISE", "").split()
#: what comes within this time goes into one message, seconds
NOTIFY_GROUP_SECONDS = float(os.environ.get("NOTIFY_GROUP_SECONDS", "2"))
EMAIL_HOST = os.environ.get("EMAIL_HOST", "localhost")
EMAIL_PORT = int(os.environ.get("EMAIL_PORT", "25"))
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = _flag("EMAIL_USE_TLS")
EMAIL_TIMEOUT = 5
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL", "lekiwi-heartbeat@localhost")

# --- history ----------------------------------------------------------------------------------
#: days that heartbeats themselves are kept, and their one-minute rollups
HISTORY_RAW_DAYS = int(os.environ.get("HISTORY_RAW_DAYS", "14"))
HISTORY_ROLLUP_DAYS = int(os.environ.get("HISTORY_ROLLUP_DAYS", "365"))
#: days that signals of operation are kept, the measurements of sessions, and sessions with their steps
TELEOP_SIGNAL_DAYS = int(os.environ.get("TELEOP_SIGNAL_DAYS", "2"))
TELEOP_QUALITY_DAYS = int(os.environ.get("TELEOP_QUALITY_DAYS", "30"))
TELEOP_SESSION_DAYS = int(os.environ.get("TELEOP_SESSION_DAYS", "365"))

# --- Django -----------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "heartbeat",
    "teleop",
    "migration",
    "dashboard",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": dj_database_url.config(env="DATABASE_URL", default="postgres:///lekiwi", conn_max_age=0)}
# A database that hangs must not hang what asks it: connecting gives up after 2 s.
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 2
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}},
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = STATE_DIR / "staticfiles"
#: files are served from their source folders, so nobody has to run collectstatic before a demo
WHITENOISE_USE_FINDERS = True

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
    },
    # Django's admin styles some widgets inline; the cockpit does not.
    "EXCLUDE_URL_PREFIXES": ["/admin/"],
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _flag("SECURE_COOKIES")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "heartbeat.api.authentication.OperatorTokens",
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "heartbeat.api.schema.Described",
    "EXCEPTION_HANDLER": "migration.api.problems.answer",
    "DEFAULT_RENDERER_CLASSES": ["heartbeat.api.rendering.EscapingJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["heartbeat.api.parsing.BoundedJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "heartbeat.api.rendering.Negotiation",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Lekiwi Heartbeat",
    "DESCRIPTION": "The heartbeat system and its migration control plane.",
    "VERSION": "2",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "robotToken": {"type": "http", "scheme": "bearer", "description": "A robot's token (lkr_…)"}
        }
    },
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v2",
    "POSTPROCESSING_HOOKS": ["heartbeat.api.schema.complete", "teleop.api.examples.add", "migration.api.examples.add"],
}

# --- Celery -----------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 2}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1}
CELERY_BEAT_SCHEDULE = {
    "compare-rows": {"task": "migration.compare_rows", "schedule": 5.0},
    "keep-up-history": {"task": "heartbeat.keep_up_history", "schedule": 60.0},
    "keep-history": {"task": "heartbeat.keep_history", "schedule": 3600.0},
    "keep-operation": {"task": "teleop.keep_history", "schedule": 3600.0},
    "hand-over-deployments": {"task": "migration.hand_over_deployments", "schedule": 5.0},
    "rehearse-rollback": {"task": "migration.rehearse_rollback", "schedule": 10.0},
    "check-state": {"task": "migration.check_state", "schedule": 15.0},
    "keep-base-backup": {"task": "migration.keep_base_backup", "schedule": 60.0},
    "back-up": {"task": "migration.back_up_if_due", "schedule": 30.0},
    "run-due-checks": {"task": "migration.run_due_checks", "schedule": 10.0},
    "prove-worker": {"task": "migration.prove_worker", "schedule": 2.0},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(STATE_DIR / "celerybeat-schedule")

LOGGING_CONFIG = "config.logging.configure"
LOGGING = logging_configuration(level=os.environ.get("LOG_LEVEL", "INFO"), as_json=_flag("LOG_JSON", default=not DEBUG))
