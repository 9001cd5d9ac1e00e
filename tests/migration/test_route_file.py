import json
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from migration.drivers.errors import CannotWriteRoutes, StaleVersion, UnreadableRoutes
from migration.drivers.route_file import RouteFile
from migration.rules.routes import RoutePlan

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path):
    made = RouteFile(tmp_path / "envoy", now=lambda: NOON)
    made.initialise(RoutePlan.preparation())
    return made


def write(file, percent, **more):
    return file.write(RoutePlan.split(percent), because="a test", by="tester", **more)


def test_what_was_written_is_read_with_who_and_why(file):
    written = file.write(RoutePlan.split(25), because="gates pass", by="lead", expected_version=1)

    assert file.read() == written
    assert (written.version, written.because, written.by, written.at) == (2, "gates pass", "lead", NOON)
    assert written.plan == RoutePlan.split(25)


def test_an_installed_route_is_left_alone_by_setting_up_again(file):
    write(file, 25)

    assert file.initialise(RoutePlan.preparation()).plan.percent == 25
    assert file.read().version == 2


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"resources": [{"virtual_hosts": []}]}', "\x00" * 100])
def test_a_broken_route_file_is_written_anew_by_setting_up(file, broken):
    write(file, 25)
    file.routes.write_text(broken)

    with pytest.raises(UnreadableRoutes, match=r"routes\.json"):
        file.read()
    assert file.initialise(RoutePlan.shadowing()).version == 3
    assert file.read().plan == RoutePlan.shadowing()


def test_a_lost_filter_file_is_written_anew_by_setting_up(file):
    routed = file.write(RoutePlan.split(25, pins={"a": "legacy"}), because="a test", by="tester")
    file.filter.unlink()

    again = file.initialise(RoutePlan.preparation())

    assert again.version == routed.version
    assert "legacy\\ta" in file.filter.read_text()


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_text('{"version_info": "1"')])
def test_no_version_is_given_twice_even_when_the_route_file_was_lost(file, lose):
    for percent in (10, 25, 50):
        write(file, percent)
    lose(file.routes)

    assert write(file, 10).version == 5


def test_the_version_goes_on_when_everything_but_the_routes_is_lost(file):
    write(file, 25)
    for path in file.directory.iterdir():
        if path.is_file():
            path.unlink()

    assert write(file, 50).version == 3


def test_a_decision_on_an_old_route_is_refused(file):
    write(file, 10)

    with pytest.raises(StaleVersion, match="decided on route 1, but route 2 is in force now"):
        write(file, 25, expected_version=1)
    assert file.read().plan.percent == 10


def test_a_decision_on_a_route_that_is_gone_is_refused(file):
    file.routes.unlink()

    with pytest.raises(StaleVersion, match="no usable route"):
        write(file, 25, expected_version=1)


def test_of_many_writers_at_once_each_gets_a_version_of_its_own(file):
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda percent: write(RouteFile(file.directory), percent).version, range(40)))

    assert sorted(versions) == list(range(2, 42))
    assert file.read().version == 41


def test_of_many_that_decided_on_the_same_route_one_wins(file):
    def decide(percent):
        try:
            return write(RouteFile(file.directory), percent, expected_version=1)
        except StaleVersion:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [won for won in pool.map(decide, range(8)) if won]

    assert len(winners) == 1
    assert file.read() == winners[0]


def test_pins_are_written_before_the_routes_and_only_when_they_change(file):
    before = file.filter.read_text()
    unpinned = write(file, 10)
    unchanged = file.filter.read_text()
    pinned = file.write(RoutePlan.split(10, pins={"Robot A": "new"}), because="a test", by="tester")

    assert unchanged == before
    assert (unpinned.filter_version, pinned.filter_version, pinned.version) == (1, 3, 3)
    assert "new\\trobot%20a" in file.filter.read_text()
    assert file.routes.stat().st_mtime_ns >= file.filter.stat().st_mtime_ns


def test_a_full_disk_is_named_and_leaves_the_route_as_it_was(file):
    write(file, 10)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(CannotWriteRoutes, match=r"routes\.json cannot be written: File too large"):
            write(file, 25)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert file.read().plan.percent == 10
    assert not [path for path in file.directory.iterdir() if "scratch" in path.name]
    assert write(file, 25).version == 4


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(CannotWriteRoutes, match=f"{tmp_path}/taken.*cannot be written"):
        RouteFile(tmp_path / "taken").initialise(RoutePlan.preparation())


def test_a_reason_that_is_no_text_does_not_spoil_the_route_file(file):
    routed = file.write(RoutePlan.split(10), because="caf\udce9\x00\n", by="\ud83d")

    assert file.read() == routed
    assert json.loads(file.routes.read_text().encode("utf-8", "strict"))
    assert routed.because == "caf\ufffd\ufffd\ufffd"


STUCK = """
import sys
from pathlib import Path
from migration.drivers import atomic_file
from migration.drivers.errors import LostLock

directory = Path(sys.argv[1])
with atomic_file.locked(directory / "lock") as lock:
    print("held", flush=True)
    sys.stdin.readline()
    try:
        atomic_file.replace(directory / "routes" / "routes.json", "{}", directory, lock)
    except LostLock as lost:
        print(lost, flush=True)
"""


def test_a_writer_that_stands_still_delays_nobody_and_changes_nothing_later(file):
    with subprocess.Popen(
        [sys.executable, "-c", STUCK, str(file.directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as stuck:
        assert stuck.stdout.readline() == "held\n"

        routed = file.latch(RoutePlan.emergency(), because="new is sick", by="on-call")

        told, _ = stuck.communicate("go on\n", timeout=10)
    assert "another writer took over" in told
    assert file.read() == routed


ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from migration.drivers.envoy import parse_proxies
from migration.drivers.route_file import RouteFile
from migration.rules.routes import RoutePlan
print(RouteFile(Path(sys.argv[2])).latch(RoutePlan.emergency(), because="all is broken", by="on-call").version)
"""


def test_an_emergency_needs_nothing_but_the_standard_library(file):
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE, str(ROOT), str(file.directory)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout == "2\n"
    assert file.latched().because == "all is broken"
