import json
import uuid

import pytest
from django.db import connection, transaction
from django.db.utils import InternalError, ProgrammingError

from migration import audit
from migration.actors import Actor
from migration.models import AuditEntry
from tests.builders import NOW

pytestmark = pytest.mark.django_db

ANNA = Actor("anna")


@pytest.fixture(autouse=True)
def _own_anchor(settings, tmp_path):
    settings.STATE_DIR = tmp_path


def write(sentence: str, **more) -> AuditEntry:
    return audit.record(ANNA, "test", sentence, at=NOW, **more)


def force(statement: str) -> None:
    """As somebody with the keys of the database would."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE migration_auditentry DISABLE TRIGGER USER")
        cursor.execute(statement)
        cursor.execute("ALTER TABLE migration_auditentry ENABLE TRIGGER USER")


def test_entries_are_chained_and_the_chain_proves_itself():
    first, second = write("one"), write("two")

    assert second.previous_hash == first.hash
    assert audit.verify() == []


def test_the_database_refuses_to_change_or_delete_an_entry():
    entry = write("one")

    for change in (lambda: AuditEntry.objects.update(sentence="other"), entry.delete):
        with pytest.raises((InternalError, ProgrammingError), match="append-only"), transaction.atomic():
            change()


def test_a_changed_entry_is_found():
    write("one")
    force("UPDATE migration_auditentry SET sentence = 'other'")

    assert audit.verify() == ["entry 1 was changed"]


def test_a_missing_entry_is_found():
    for sentence in ("one", "two", "three"):
        write(sentence)
    force("DELETE FROM migration_auditentry WHERE sequence = 2")

    assert "entry 2 is missing" in audit.verify()


def test_a_cut_tail_is_found(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        write("one")
        write("two")
    force("DELETE FROM migration_auditentry WHERE sequence = 2")

    assert json.loads(audit.anchor_path().read_text())["sequence"] == 2
    assert audit.verify() == ["the log ends at 1, but 2 was written: its tail is cut"]


def test_the_same_record_twice_is_one_entry():
    uid = uuid.uuid4()

    assert write("one", uid=uid).pk == write("one", uid=uid).pk
    assert AuditEntry.objects.count() == 1
