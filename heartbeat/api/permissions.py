"""A permission of Django's for each action."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


def holds(permission: str) -> type[BasePermission]:
    """A DRF permission class for `permission`, such as `heartbeat.change_robot`."""

    class Holds(BasePermission):
        """The person holds the permission."""

        message = f"this needs the permission {permission}"

        def has_permission(self, request: Request, view: Any) -> bool:
            return bool(request.user and request.user.has_perm(permission))

    return Holds
