import csv
import io
import json
import uuid

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.db.utils import InternalError, ProgrammingError
from rest_framework.test import APIClient

from migration import audit
from migration.actors import Actor
from migration.auditing import anchoring, guarding
from migration.models import AuditEntry
from tests.builders import NOW, person

pytestmark = pytest.mark.django_db

ANNA = Actor("anna")


@pytest.fixture(autouse=True)
def _own_anchor(settings, tmp_path):
    settings.ENVOY_STATE_DIR = tmp_path


@pytest.fixture
def write(django_capture_on_commit_callbacks):
    """Append an entry as a committed transaction does."""

    def write(sentence: str, action: str = "test", actor: Actor = ANNA, **more) -> AuditEntry:
        with django_capture_on_commit_callbacks(execute=True):
            return audit.record(actor, action, sentence, at=NOW, **more)

    return write


def force(statement: str) -> None:
    """As somebody with the keys of the database would."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE migration_auditentry DISABLE TRIGGER USER")
        cursor.execute(statement)
        cursor.execute("ALTER TABLE migration_auditentry ENABLE TRIGGER USER")


def test_entries_are_chained_and_the_chain_proves_itself(write):
    first, second = write("one"), write("two")

    assert second.previous_hash == first.hash
    assert audit.verify() == []


def test_the_database_refuses_to_change_or_delete_an_entry(write):
    entry = write("one")

    for change in (lambda: AuditEntry.objects.update(sentence="other"), entry.delete):
        with pytest.raises((InternalError, ProgrammingError), match="append-only"), transaction.atomic():
            change()


def test_a_changed_entry_is_found(write):
    write("one")
    force("UPDATE migration_auditentry SET sentence = 'other'")

    assert audit.verify() == ["entry 1 was changed"]


def test_a_missing_entry_is_found(write):
    for sentence in ("one", "two", "three"):
        write(sentence)
    force("DELETE FROM migration_auditentry WHERE sequence = 2")

    assert "entry 2 is missing" in audit.verify()


def test_a_cut_tail_is_found(write):
    write("one")
    write("two")
    force("DELETE FROM migration_auditentry WHERE sequence = 2")

    assert anchoring.read().sequence == 2
    assert audit.verify() == ["the log ends at 1, but 2 was written: its tail is cut"]


def test_the_same_record_twice_is_one_entry(write):
    uid = uuid.uuid4()

    assert write("one", uid=uid).pk == write("one", uid=uid).pk
    assert AuditEntry.objects.count() == 1


def test_a_lost_or_broken_anchor_is_no_proof(write):
    write("one")
    anchoring.anchor_path().unlink()
    assert "there is no anchor" in audit.verify()[0]

    anchoring.anchor_path().write_text("{")
    assert "cannot be read" in audit.verify()[0]
    write("two")
    assert "cannot be read" in audit.verify()[0]  # nobody writes over it unseen


def test_a_log_that_was_rewritten_whole_is_not_the_one_that_was_anchored(write):
    entry = write("one")
    entry.sentence = "other"
    force(f"UPDATE migration_auditentry SET sentence = 'other', hash = '{entry.digest}'")

    assert audit.verify() == ["entry 1 is not the one that was anchored"]


def test_heads_that_are_anchored_out_of_order_never_go_back():
    anchoring.anchor(anchoring.Head(7, "b"))
    anchoring.anchor(anchoring.Head(6, "a"))

    assert anchoring.read() == anchoring.Head(7, "b")


def test_a_disk_that_refuses_the_anchor_undoes_nothing(write, settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.ENVOY_STATE_DIR = tmp_path / "file" / "below"

    assert write("one").sequence == 1


def test_a_role_that_is_no_superuser_can_change_nothing_whatever_it_was_granted(write):
    write("one")
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE plain_writer")
        cursor.execute("GRANT INSERT, SELECT, UPDATE, DELETE ON migration_auditentry TO plain_writer")
        cursor.execute("SET LOCAL ROLE plain_writer")
        for statement in ("UPDATE migration_auditentry SET sentence = 'x'", "DELETE FROM migration_auditentry"):
            with pytest.raises((InternalError, ProgrammingError), match="append-only"), transaction.atomic():
                cursor.execute(statement)
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            cursor.execute("TRUNCATE migration_auditentry")

        assert guarding.weaknesses() == []
        cursor.execute("SET LOCAL ROLE NONE")
    assert "superuser" in guarding.weaknesses()[0]


def test_even_the_owner_of_the_table_has_no_right_to_change_it(write):
    write("one")
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE plain_owner")
        cursor.execute("ALTER TABLE migration_auditentry OWNER TO plain_owner")
        cursor.execute("SET LOCAL ROLE plain_owner")
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            cursor.execute("UPDATE migration_auditentry SET sentence = 'x'")

        assert "owns the table" in guarding.weaknesses()[0]
        cursor.execute("SET LOCAL ROLE NONE")


def test_a_trigger_that_was_switched_off_is_found_before_anything_is_changed(write):
    write("one")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE migration_auditentry DISABLE TRIGGER USER")
    try:
        with pytest.raises(CommandError, match="audit_is_append_only is switched off"):
            call_command("audit_verify")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE migration_auditentry ENABLE TRIGGER USER")


def test_the_command_proves_the_chain_and_says_what_it_cannot_resist(write):
    write("one")
    told, noted = io.StringIO(), io.StringIO()

    call_command("audit_verify", stdout=told, stderr=noted)

    assert told.getvalue() == "1 entries, the chain is whole.\n"
    assert "superuser" in noted.getvalue()


def test_an_entry_says_who_what_why_before_and_after_in_every_export(write):
    write(
        "moved it",
        action="shift_done",
        why="=gates pass",
        before={"percent": 0},
        after={"percent": 10},
        detail={"x": 1},
    )
    write("rolled back", action="rollback", detail={"reason": "motor faults", "from_percent": 10, "to_percent": 0})
    lines, table = io.StringIO(), io.StringIO()

    call_command("audit_export", stdout=lines)
    call_command("audit_export", "--format", "csv", stdout=table)

    first, second = map(json.loads, lines.getvalue().splitlines())
    assert (first["actor"], first["why"], first["before"], first["after"]) == (
        "anna",
        "=gates pass",
        {"percent": 0},
        {"percent": 10},
    )
    assert (second["why"], second["before"], second["after"]) == ("motor faults", {"percent": 10}, {"percent": 0})
    proven = AuditEntry(**{name: second[name] for name in ("sequence", "uid", "actor", "action", "sentence", "detail")})
    proven.at, proven.previous_hash = NOW, first["hash"]
    assert proven.digest == second["hash"]
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert [row["why"] for row in rows] == ["'=gates pass", "motor faults"]


def test_the_log_is_filtered_and_exported_over_rest(write):
    write("one", action="vote", why="looks good")
    write("two", action="rollback", actor=Actor("ben"))
    viewer = APIClient()
    viewer.force_login(person(None))

    def found(path="", **query):
        return viewer.get(f"/api/v2/migration/audit{path}", query)

    assert [row["sentence"] for row in found(actor="ben").json()["results"]] == ["two"]
    assert [row["why"] for row in found(q="GOOD").json()["results"]] == ["looks good"]
    assert found(since="2027-01-01T00:00:00Z").json()["results"] == []
    assert found(colour="red").status_code == 400
    lines = b"".join(found("/export", action="vote")).decode().splitlines()
    assert [json.loads(line)["sentence"] for line in lines] == ["one"]
    assert b"".join(found("/export", format="csv")).decode().startswith("sequence,at,actor")
    assert found("/proof").json()["whole"] is True
