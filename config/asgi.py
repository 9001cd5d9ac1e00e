"""The site process (daphne, 8012): pages, admin, REST, and the legacy contract for operators' tools."""

import os
from pathlib import Path

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Django first: it reads the settings and sets up the apps that the imports below need.
_django = get_asgi_application()

from django.conf import settings  # noqa: E402

from heartbeat.ingest.access import Access  # noqa: E402
from heartbeat.ingest.answers import Receive, Scope, Send  # noqa: E402
from heartbeat.ingest.calls import Calls  # noqa: E402
from heartbeat.ingest.database import Database  # noqa: E402
from heartbeat.ingest.offers import Offers  # noqa: E402
from heartbeat.ingest.recorder import Recorder  # noqa: E402
from heartbeat.legacy_api.application import create_application  # noqa: E402
from heartbeat.legacy_api.paths import is_legacy_path  # noqa: E402
from heartbeat.legacy_api.store import Store  # noqa: E402
from teleop.rules.reading import read_operation  # noqa: E402

_dsn = os.environ.get("DATABASE_URL", "postgres:///lekiwi")
_database = Database(_dsn)
# Both connect with the first call that needs them: daphne knows no lifespan.
_calls = Calls(Recorder(_dsn, application_name="site"), Access(_dsn))
_legacy = create_application(
    _calls, Offers(_database), Store(_database, Path(settings.STATE_DIR) / "packages"), read_operation
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Send legacy's paths to the legacy contract and everything else to Django."""
    if scope["type"] in ("http", "websocket") and is_legacy_path(scope["path"]):
        await _legacy(scope, receive, send)
    elif scope["type"] == "websocket":
        # Browsers' views are served by the live process; refusing here is an answer, hanging is none.
        await receive()
        await send({"type": "websocket.close", "code": 1000})
    else:
        await _django(scope, receive, send)
