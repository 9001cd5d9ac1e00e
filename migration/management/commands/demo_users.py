"""`manage.py demo_users`: one login per role, for a demo on a laptop. Refused outside one."""

import os
from typing import Any

from django.contrib.auth.models import Group, Permission, User

from migration.rules.voting import Role
from migration.runbook import RunbookCommand, not_done

#: login → role; the password is the login with a suffix that says what it is for
LOGINS = {
    "lead": Role.MIGRATION_LEAD,
    "infra": Role.INFRASTRUCTURE,
    "backend": Role.BACKEND,
    "monitoring": Role.MONITORING,
    "qa": Role.QA,
    "oncall": Role.ON_CALL,
}
#: whose permissions the roles hold
APPS = ("heartbeat", "teleop", "migration")
VIEWER, ADMIN = "viewer", "admin"

_STEER = (
    "cast_vote",
    "advance_phase",
    "roll_back",
    "release_latch",
    "pause_phase",
    "shorten_phase",
    "configure_phase",
    "freeze_migration",
)
_GUARD = ("set_watch_rule", "switch_automation", "rehearse_rollback", "restore_fleet")
_CHECKS = ("acknowledge_alert", "run_checks", "sign_off")
_CARE = ("back_up", "change_contacts")
_ACCESS = ("issue_token", "issue_enrolment_token", "issue_operator_token", "close_legacy_path")
PERMISSIONS = {
    Role.MIGRATION_LEAD: (
        *_STEER,
        "reconcile",
        "stop_session",
        "sync_rows",
        *_ACCESS,
        *_GUARD,
        *_CHECKS,
        *_CARE,
        "add_maintenancewindow",
    ),
    Role.INFRASTRUCTURE: (
        *_STEER,
        "stop_session",
        "sync_rows",
        *_ACCESS,
        *_GUARD,
        *_CHECKS,
        *_CARE,
        "add_maintenancewindow",
    ),
    Role.BACKEND: (
        "cast_vote",
        "reconcile",
        "sync_rows",
        "roll_back",
        "restore_fleet",
        "issue_operator_token",
        *_CHECKS,
        "back_up",
    ),
    Role.MONITORING: ("cast_vote", *_CHECKS),
    Role.QA: ("cast_vote", "reconcile", *_CHECKS),
    Role.ON_CALL: (
        "cast_vote",
        "roll_back",
        "release_latch",
        "pause_phase",
        "switch_automation",
        "rehearse_rollback",
        "stop_session",
        "add_maintenancewindow",
        *_CHECKS,
        *_CARE,
    ),
}


class Command(RunbookCommand):
    help = "Make the groups of the six roles and one login for each, beside a viewer and an administrator."

    def handle(self, *args: Any, **options: Any) -> None:
        make_groups()
        if os.environ.get("DEMO") != "1":
            raise not_done("groups made; logins with known passwords are only for a demo (DEMO=1)")
        for login, role in LOGINS.items():
            user = self._user(login)
            user.groups.set([Group.objects.get(name=role.value)])
            self.stdout.write(f"{login} {password_of(login)} {role.value}")
        self._user(VIEWER)
        self.stdout.write(f"{VIEWER} {password_of(VIEWER)} viewer")
        admin = self._user(ADMIN)
        admin.is_staff = admin.is_superuser = True
        admin.save()
        self.stdout.write(f"{ADMIN} {password_of(ADMIN)} administrator")

    def _user(self, login: str) -> User:
        user, created = User.objects.get_or_create(username=login)
        if created:
            user.set_password(password_of(login))
            user.save()
        return user


def password_of(login: str) -> str:
    """The demo password of a login."""
    return f"{login}-demo"


def make_groups() -> None:
    """The groups of the six roles with their permissions."""
    for role, codenames in PERMISSIONS.items():
        group, _ = Group.objects.get_or_create(name=role.value)
        group.permissions.set(Permission.objects.filter(content_type__app_label__in=APPS, codename__in=codenames))
