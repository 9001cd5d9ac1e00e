"""What legacy's API cannot express goes to a configured command, and legacy's own list says whether it helped."""

import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heartbeat.deployments import keep_deployment
from migration.deployments import listed
from migration.handing_over import hand_over, is_due, lacking
from migration.models import AuditEntry, DeploymentMapping, HandOver
from migration.syncing.way_back import way_back

pytestmark = pytest.mark.django_db

#: stands for what an operator writes: puts the deployment into legacy, under its own or another id
BRINGS_IT = """
import json, os, sys
import httpx
legacy, renamed = sys.argv[1], sys.argv[2:]
document = json.load(sys.stdin)
assert document["id"] == os.environ["DEPLOYMENT_ID"]
assert open(os.environ["DEPLOYMENT_PACKAGE"], "rb").read() == b"a package"
document["id"] = renamed[0] if renamed else document["id"]
state = httpx.get(legacy + "/_sim/state").json()
state["deployments"].append(document)
kept = {"robots": state["robots"], "deployments": state["deployments"]}
httpx.put(legacy + "/_sim/state", json=kept).raise_for_status()
print("brought")
print(document["id"])
"""


@pytest.fixture
def made_at_new(legacy, sync):
    """A release that was built at `new`; legacy has never heard of it."""
    sync.look()
    keep_deployment({**legacy.deployments[0], "id": "dep_new", "version": "v9"}, b"a package")
    sync._slow_at = 0.0
    sync.look()
    return legacy


@pytest.fixture
def command(settings, tmp_path: Path, legacy):
    """Configures a script as the command."""

    def configure(script: str, *arguments: str) -> None:
        path = tmp_path / "command.py"
        path.write_text(script)
        settings.LEGACY_DEPLOY_COMMAND = shlex.join([sys.executable, str(path), legacy.url, *arguments])

    return configure


def test_without_a_command_it_is_listed_and_breaks_the_way_back(made_at_new) -> None:
    assert hand_over() == []
    assert lacking() == [{"id": "dep_new", "why": "no command is configured"}]
    assert "dep_new" in way_back().cause


def test_the_command_brings_it_and_the_way_back_is_whole_again(made_at_new, command, sync) -> None:
    command(BRINGS_IT)

    (tried,) = hand_over()

    assert (tried.attempts, tried.failure) == (1, "")
    assert "dep_new" in {document["id"] for document in listed(sync.source)}
    sync._slow_at = 0.0
    sync.look()
    assert lacking() == []
    assert way_back().whole
    assert AuditEntry.objects.first().sentence == "handed deployment dep_new over to legacy"


def test_one_that_legacy_gave_another_id_is_mapped_once(made_at_new, command, sync) -> None:
    command(BRINGS_IT, "dep_legacys")

    hand_over()

    assert DeploymentMapping.objects.get().legacy_id == "dep_legacys"
    sync._slow_at = 0.0
    sync.look()
    assert lacking() == []


def test_a_command_that_fails_says_why_and_is_not_run_again_at_once(made_at_new, command) -> None:
    command("import sys; sys.exit('the build host is away')")

    hand_over()

    assert lacking() == [{"id": "dep_new", "why": "the command ended with 1: the build host is away"}]
    assert hand_over() == []


def test_a_command_that_ends_well_is_not_believed_when_legacy_does_not_list_it(made_at_new, command) -> None:
    command("print('dep_new')")

    hand_over()

    assert lacking()[0]["why"] == "the command ended well, but legacy does not list it"


def test_what_came_later_waits_for_what_came_first(made_at_new, command, sync) -> None:
    keep_deployment({**made_at_new.deployments[0], "id": "dep_newer", "version": "v10"}, b"a package")
    sync._slow_at = 0.0
    sync.look()
    command("import sys; sys.exit(1)")

    assert [one.new_id for one in hand_over()] == ["dep_new"]


def test_each_pause_is_twice_the_one_before_and_never_longer_than_a_quarter_of_an_hour() -> None:
    now = datetime.now(UTC)
    one = HandOver(new_id="dep_new", attempts=3, tried_at=now)

    assert not is_due(one, now + timedelta(seconds=119))
    assert is_due(one, now + timedelta(seconds=120))
    one.attempts = 50
    assert is_due(one, now + timedelta(minutes=15))
