"""The ingest process (uvicorn, 8011): robots' calls, without Django's request machinery.

`uvicorn config.ingest:application --http heartbeat.ingest.protocol:RobotsProtocol --no-proxy-headers --port 8011`
"""

import os
from pathlib import Path

from config.logging import configure, logging_configuration
from heartbeat.ingest.access import Access
from heartbeat.ingest.application import Ingest
from heartbeat.ingest.calls import Calls
from heartbeat.ingest.database import Database
from heartbeat.ingest.enrolling import Enrolling
from heartbeat.ingest.offers import Offers
from heartbeat.ingest.recorder import Recorder
from heartbeat.legacy_api.application import create_application
from heartbeat.legacy_api.store import Store
from heartbeat.rules.pace import Pace
from heartbeat.watching.hearing import PULSE_SECONDS
from teleop.receiving.extension import Receiving
from teleop.rules.reading import read_operation

_debugging = os.environ.get("DEBUG", "").strip().lower() in {"1", "true", "yes", "on"}
configure(logging_configuration(level=os.environ.get("LOG_LEVEL", "INFO"), as_json=not _debugging))

_dsn = os.environ.get("DATABASE_URL", "postgres:///lekiwi")
_packages = Path(os.environ.get("STATE_DIR", Path(__file__).resolve().parent.parent / "var")) / "packages"
_database = Database(_dsn)
_recorder = Recorder(_dsn, pulse_seconds=PULSE_SECONDS)
_access = Access(
    _dsn,
    pace=Pace(float(os.environ.get("ROBOT_CALLS_PER_SECOND") or 50), int(os.environ.get("ROBOT_CALLS_BURST") or 200)),
)
_calls = Calls(_recorder, _access)
_offers = Offers(_database)
application = Ingest(
    _calls,
    _offers,
    Enrolling(_database, _access),
    create_application(_calls, _offers, Store(_database, _packages), read_operation),
    [Receiving(_dsn, _access)],
)
