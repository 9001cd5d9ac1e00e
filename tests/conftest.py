"""What every test may count on: a real PostgreSQL and Redis, settings for tests, free ports.

They run before Django reads its settings, which is when pytest imports this file; set DATABASE_URL or
REDIS_URL to use your own. They die with the test run, even when it is killed.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
import hypothesis
import pytest
from django.db import connection
from hypothesis import HealthCheck

from embedded.places import runtime_directory
from embedded.ports import free_port as any_free_port
from embedded.postgres import Postgres
from embedded.redis import Redis
from tests.databases import migrated

_state = Path(tempfile.mkdtemp(prefix="lekiwi-tests-"))
# mkdtemp makes it 0700, and PostgreSQL of a root user runs as another account.
_state.chmod(0o711)
_runtime = runtime_directory(_state)
#: WAL goes here while the directory is there: a test that needs an archive makes it
WAL_ARCHIVE = Path(tempfile.gettempdir()) / f"{_state.name}-wal"
_postgres = Postgres(
    _state / "postgres",
    _runtime,
    settings={
        **{"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "archive_mode": "on"},
        "archive_command": f'test ! -d "{WAL_ARCHIVE}" || cp %p "{WAL_ARCHIVE}/%f"',
    },
)
_redis = Redis(_state / "redis", _runtime)


def _start_services() -> None:
    if not os.environ.get("DATABASE_URL"):
        _postgres.start()
        os.environ["DATABASE_URL"] = _postgres.url
    if not os.environ.get("REDIS_URL"):
        _redis.start()
        os.environ["REDIS_URL"] = _redis.url


def _stop_services() -> None:
    _redis.stop()
    _postgres.stop()
    for directory in (_state, _runtime):
        shutil.rmtree(directory, ignore_errors=True)


atexit.register(_stop_services)
_start_services()
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
os.environ["SECRET_KEY"] = "only-for-tests"
os.environ["REHEARSALS"] = "waived"  # a test that is about them asks for them
os.environ["STATE_DIR"] = str(_state / "state")
(_state / "state" / "staticfiles").mkdir(parents=True, exist_ok=True)
for _name in ("ENVOY_STATE_DIR", "SPOOL_DIR", "PROXIES", "LEGACY_URL", "MIGRATION_TIME_SCALE", "DEBUG"):
    os.environ.pop(_name, None)

# How fast an example is found or run says something about the machine, not about what is tested.
hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")

# pytest-django looked for settings before this file was read.
django.setup()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Django's test database is a copy too: the migrations have run already on this server."""
    connection.settings_dict["TEST"] |= {"TEMPLATE": migrated(os.environ["DATABASE_URL"]), "MIGRATE": False}


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return any_free_port()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """An empty state directory of this test's own."""
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


@pytest.fixture
def runtime_dir(state_dir: Path) -> Iterator[Path]:
    """The short directory for the sockets of `state_dir`."""
    directory = runtime_directory(state_dir)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium to drive; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None) or next(_playwrights_own(), None)
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium, or .venv/bin/playwright install chromium")
    return found


CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def _playwrights_own() -> Iterator[str]:
    home = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    return (str(path) for path in sorted(home.glob("chromium-*/chrome-linux*/chrome"), reverse=True))


def _skipped(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return len(reporter.stats.get("skipped", [])) if reporter else 0


def _skips_are_failures() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With CI=true a test that was skipped is a test that did not run, which nobody may overlook."""
    if _skips_are_failures() and exitstatus == pytest.ExitCode.OK and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why the exit code is not 0."""
    if _skips_are_failures() and (count := _skipped(terminalreporter.config)):
        terminalreporter.write_line(f"{count} skipped, and with CI=true a skip is a failure", red=True)
