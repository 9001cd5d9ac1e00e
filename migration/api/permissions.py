"""A permission for each action: who may vote may not necessarily shift."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


def may(codename: str) -> type[BasePermission]:
    """A DRF permission class for one of the migration's permissions."""

    class Holds(BasePermission):
        """The person holds the permission."""

        message = f"this needs the permission migration.{codename}"

        def has_permission(self, request: Request, view: Any) -> bool:
            return bool(request.user and request.user.has_perm(f"migration.{codename}"))

    return Holds
