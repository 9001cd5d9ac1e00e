"""Issuing, rotating, revoking and closing, as operators do it, with the audit log that listens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, transaction

from heartbeat.access import enrolment_tokens, legacy_path, operator_tokens, robot_tokens
from heartbeat.access.errors import AlreadyClosed, HasToken, NotLive, WiderThanItself
from heartbeat.models import EnrolmentToken, LegacyClosure, OperatorToken, Robot, RobotToken
from heartbeat.rules.cohorts import Cohort
from heartbeat.rules.tokens import digest_of
from migration.audit import verify
from migration.models import AuditEntry

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def issue(robot_id: str = "Lekiwi_5A3F", **options) -> tuple[RobotToken, str]:
    return robot_tokens.issue(robot_id, **{"by": "ada", "at": NOW, **options})


def test_a_token_is_given_once_and_only_its_hash_is_kept():
    row, token = issue(kind="xlerobot", site="b", tags=["lab"])

    assert bytes(RobotToken.objects.get().digest) == digest_of(token.encode())
    assert row.prefix == token[:12]
    robot = Robot.objects.get()
    assert (robot.robot_id, robot.kind, robot.site, robot.tags) == ("Lekiwi_5A3F", "xle", "b", ["lab"])
    assert robot.enrolled_at
    assert robot.last_seen_at is None
    with pytest.raises(HasToken, match="rotate it, or revoke it first"):
        issue("LEKIWI_5a3f")


def test_rotating_leaves_the_old_token_good_for_the_overlap_and_not_longer():
    old, _ = issue()

    new, _ = robot_tokens.rotate(old, overlap=DAY, by="ada", at=NOW)
    newest, _ = robot_tokens.rotate(new, overlap=DAY / 2, by="ada", at=NOW)

    live = {hours: list(robot_tokens.tokens_of(old.robot_id).live(NOW + hours * DAY / 24)) for hours in (1, 13, 25)}
    assert live[1] == [newest, new, old]
    assert live[13] == [newest]
    assert live[25] == [newest]
    assert newest.expires_at is None


def test_a_token_that_was_to_expire_is_followed_by_one_that_lives_as_long():
    old, _ = issue(expires_at=NOW + 30 * DAY)

    new, _ = robot_tokens.rotate(old, overlap=DAY, by="ada", at=NOW + 29 * DAY)
    of_the_old, _ = robot_tokens.rotate(old, overlap=DAY, by="ada", at=NOW + 29 * DAY)

    assert new.expires_at == of_the_old.expires_at == NOW + 59 * DAY


def test_a_revoked_token_is_not_rotated_and_revoking_twice_changes_nothing():
    row, _ = issue()
    first = robot_tokens.revoke(row, by="ada", at=NOW)
    second = robot_tokens.revoke(row, by="bob", at=NOW + DAY)

    assert (second.revoked_at, second.revoked_by) == (first.revoked_at, "ada")
    with pytest.raises(NotLive, match="issue a new token"):
        robot_tokens.rotate(row, overlap=DAY, by="ada", at=NOW)
    assert issue()[0].is_live(NOW)


def test_every_act_is_in_the_audit_log_without_the_token(settings, tmp_path, django_capture_on_commit_callbacks):
    settings.SPOOL_DIR = settings.STATE_DIR = settings.ENVOY_STATE_DIR = tmp_path
    ada = User.objects.create_user("ada")
    with django_capture_on_commit_callbacks(execute=True):  # the audit log's head is anchored after the commit
        robots, secret = issue()
        robot_tokens.rotate(robots, overlap=DAY, by="ada", at=NOW)
        robot_tokens.revoke(robots, by="ada", at=NOW)
        fleets, _ = enrolment_tokens.issue(uses=5, expires_at=NOW + DAY, by="ada", at=NOW)
        enrolment_tokens.revoke(fleets, by="ada", at=NOW)
        adas, _ = operator_tokens.issue(ada, name="ci", scopes=["robots:read"], expires_at=NOW + DAY, by="ada", at=NOW)
        operator_tokens.revoke(adas, by="ada", at=NOW)
        closure = legacy_path.close(Cohort(kind="xle"), reason="all speak v2", by="ada", at=NOW)
        legacy_path.open_again(closure, by="ada", at=NOW)

    entries = AuditEntry.objects.order_by("sequence")
    assert [entry.action for entry in entries] == [
        "token.issued",
        "token.rotated",
        "token.revoked",
        "enrolment_token.issued",
        "enrolment_token.revoked",
        "operator_token.issued",
        "operator_token.revoked",
        "legacy_path.closed",
        "legacy_path.opened",
    ]
    assert {entry.actor for entry in entries} == {"ada"}
    assert not any(secret in f"{entry.sentence} {entry.detail}" for entry in entries)
    assert verify() == []


def test_a_change_that_cannot_be_recorded_is_not_made(monkeypatch):
    from heartbeat import telling

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(telling, "_listeners", [full])
    with pytest.raises(OSError, match="full"):
        issue()

    assert not RobotToken.objects.exists()
    assert not Robot.objects.exists()


def test_a_token_gives_no_more_than_it_has():
    ada = User.objects.create_user("ada")
    asked = {"name": "x", "expires_at": NOW + DAY, "by": "ada", "at": NOW, "within": ["tokens:write", "robots:write"]}

    with pytest.raises(WiderThanItself, match="migration:write"):
        operator_tokens.issue(ada, scopes=["robots:read", "migration:write"], **asked)

    assert operator_tokens.issue(ada, scopes=["robots:read"], **asked)[0].scopes == ["robots:read"]


def test_an_operators_token_is_found_while_it_and_its_user_are_good():
    ada = User.objects.create_user("ada")
    row, token = operator_tokens.issue(ada, name="ci", scopes=["robots:read"], expires_at=NOW + DAY, by="ada", at=NOW)
    secret = token.encode()

    assert operator_tokens.holder_of(secret, NOW) == row
    assert operator_tokens.holder_of(secret, NOW + timedelta(minutes=1)) == row
    assert OperatorToken.objects.get().last_used_at == NOW
    operator_tokens.holder_of(secret, NOW + timedelta(minutes=6))
    assert OperatorToken.objects.get().last_used_at == NOW + timedelta(minutes=6)
    assert operator_tokens.holder_of(secret, NOW + DAY) is None
    assert operator_tokens.holder_of(secret[:-1], NOW) is None
    User.objects.update(is_active=False)
    assert operator_tokens.holder_of(secret, NOW) is None


def test_a_cohort_is_closed_once_and_may_be_closed_again_when_it_was_opened():
    xle = Cohort(kind="xle")
    closure = legacy_path.close(xle, reason="all speak v2", by="ada", at=NOW)
    with pytest.raises(AlreadyClosed, match="of kind xle already"):
        legacy_path.close(xle, reason="again", by="ada", at=NOW)

    assert legacy_path.close(Cohort(kind="xle", site="b"), reason="more", by="ada", at=NOW).opened_at is None
    legacy_path.open_again(closure, by="bob", at=NOW)
    again = legacy_path.open_again(closure, by="eve", at=NOW + DAY)
    assert (again.opened_by, again.opened_at) == ("bob", NOW)
    assert legacy_path.close(xle, reason="again", by="ada", at=NOW).pk != closure.pk


@pytest.mark.parametrize(
    "broken",
    [
        lambda: LegacyClosure.objects.create(reason="everybody", closed_at=NOW, closed_by="ada"),
        lambda: EnrolmentToken.objects.update(uses_left=11),
        lambda: EnrolmentToken.objects.update(expires_at=None),
    ],
)
def test_what_must_never_be_is_refused_by_the_database(broken):
    enrolment_tokens.issue(uses=10, expires_at=NOW + DAY, by="ada", at=NOW)

    with pytest.raises(IntegrityError), transaction.atomic():
        broken()


class TestCommands:
    def test_a_token_is_printed_alone_and_can_be_revoked_by_what_is_shown_of_it(self, capsys):
        call_command("issue_token", "lekiwi_1", "--site", "b", "--tag", "lab", "--days", "30")
        token = capsys.readouterr().out.strip()
        assert bytes(RobotToken.objects.get().digest) == digest_of(token.encode())

        call_command("revoke_token", token[:12])

        assert RobotToken.objects.get().revoked_by.startswith("command (")

    def test_enrolment_and_operators_tokens_are_made_and_revoked_too(self, capsys):
        User.objects.create_user("ada")
        call_command("issue_enrolment_token", "--uses", "50", "--kind", "xle", "--replaces")
        call_command("issue_operator_token", "ada", "--scope", "robots:read", "--scope", "migration:read")
        fleets, adas = capsys.readouterr().out.split()

        for token in (fleets, adas):
            call_command("revoke_token", token)

        assert EnrolmentToken.objects.get(revoked_at__isnull=False).uses_left == 50
        assert OperatorToken.objects.get(revoked_at__isnull=False).scopes == ["robots:read", "migration:read"]

    def test_the_legacy_path_is_closed_listed_and_opened(self, capsys):
        call_command("legacy_path", "close", "all speak v2", "--kind", "xle")
        number = capsys.readouterr().out.split()[0]
        call_command("legacy_path", "list")
        assert "robots of kind xle: all speak v2" in capsys.readouterr().out
        call_command("legacy_path", "open", number)
        call_command("legacy_path", "list")

        assert capsys.readouterr().out == "opened the legacy path for robots of kind xle\n"

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["issue_token", "a\nb"], "control characters"),
            (["issue_token", "a", "--tag", "Not A Tag"], "lower-case"),
            (["issue_operator_token", "nobody", "--scope", "robots:read"], "nobody is called nobody"),
            (["revoke_token", "lkr_"], "a token begins with"),
            (["revoke_token", "password1234"], "a token begins with"),
            (["revoke_token", "lkr_12345678"], "no token begins with lkr_12345678"),
            (["legacy_path", "close", "why not"], "name a kind, a site or a tag"),
            (["legacy_path", "open", "4711"], "there is no closure 4711"),
        ],
    )
    def test_what_cannot_be_done_is_said_in_a_sentence(self, arguments, reason):
        with pytest.raises(CommandError, match=reason):
            call_command(*arguments)


def test_the_demos_robots_have_one_good_token_whenever_the_demo_starts(tmp_path: Path, monkeypatch):
    file = tmp_path / "fleet" / "enrolment_token"
    with pytest.raises(CommandError, match="only for a demo"):
        call_command("demo_enrolment", file)
    monkeypatch.setenv("DEMO", "1")

    for _ in range(2):
        call_command("demo_enrolment", file)
    first = EnrolmentToken.objects.get()
    enrolment_tokens.revoke(first, by="ada", at=NOW)
    call_command("demo_enrolment", file)

    assert file.stat().st_mode & 0o777 == 0o600
    assert bytes(EnrolmentToken.objects.live(NOW).get().digest) == digest_of(file.read_bytes()) != bytes(first.digest)
