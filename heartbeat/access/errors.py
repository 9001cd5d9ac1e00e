"""Why a token or a closure is not given, with the sentence for the operator."""


class Refused(Exception):
    """The base of the reasons below."""


class HasToken(Refused):
    """The robot has a live token already."""

    def __init__(self, robot_id: str) -> None:
        super().__init__(f"{robot_id} has a live token: rotate it, or revoke it first")


class NotLive(Refused):
    """The token was revoked or has expired, so it cannot be rotated."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"{prefix}… is not live any more: issue a new token")


class AlreadyClosed(Refused):
    """The legacy path is closed for this cohort."""

    def __init__(self, cohort: str) -> None:
        super().__init__(f"the legacy path is closed for robots {cohort} already")


class WiderThanItself(Refused):
    """A token may not issue one that can do more than it can itself."""

    def __init__(self, scopes: list[str]) -> None:
        super().__init__(f"a token cannot give what it does not have: {', '.join(scopes)}")
