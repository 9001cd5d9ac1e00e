"""Whether the database itself keeps the audit log append-only, for the role that this process uses."""

from django.db import connection

_TABLE = "migration_auditentry"
_TRIGGERS = ("audit_is_append_only", "audit_is_never_truncated")


def gaps() -> list[str]:
    """What of the protection is missing, a sentence each: a trigger that is off lets anybody change an entry."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [_TABLE]
        )
        states = dict(cursor.fetchall())
    found = []
    for name in _TRIGGERS:
        if name not in states:
            found.append(f"the trigger {name} is gone: entries can be changed")
        elif states[name] == "D":
            found.append(f"the trigger {name} is switched off: entries can be changed")
    return found


def weaknesses() -> list[str]:
    """How the role of this process could get round the protection: what the hash chain and its anchor are for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, rolsuper, pg_has_role(c.relowner, 'MEMBER') FROM pg_roles, pg_class c"
            " WHERE rolname = current_user AND c.oid = %s::regclass",
            [_TABLE],
        )
        role, is_superuser, is_owner = cursor.fetchone()
    if is_superuser:
        return [f"the role {role} is a superuser, which no table can resist: run the processes as another one"]
    if is_owner:
        return [f"the role {role} owns the table and could drop its triggers: let another role own it"]
    return []
