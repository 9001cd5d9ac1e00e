"""Why the route file or a proxy says no: one class per reason."""

from pathlib import Path


class RouteError(Exception):
    """The route file could not be read or changed."""


class UnreadableRoutes(RouteError):
    """There is no route file, or it is not ours."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be used: {reason}")


class CannotWriteRoutes(RouteError):
    """The disk refuses."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be written: {reason}")


class StaleVersion(RouteError):
    """Somebody else has written since the decision was made."""

    def __init__(self, expected: int, found: int | None) -> None:
        now = "there is no usable route now" if found is None else f"route {found} is in force now"
        super().__init__(f"decided on route {expected}, but {now}")
        self.expected = expected
        self.found = found


class LostLock(RouteError):
    """This writer was stopped for so long that another one took over."""

    def __init__(self) -> None:
        super().__init__("another writer took over while this one stood still; nothing was changed by this one")


class Latched(RouteError):
    """An emergency holds the route at legacy."""

    def __init__(self, because: str, by: str) -> None:
        super().__init__(f"latched by {by}: {because}. Only releasing the latch moves traffic")
        self.because = because
        self.by = by


class NotLatched(RouteError):
    """There is nothing to release."""

    def __init__(self) -> None:
        super().__init__("nothing is latched")


class BadProxies(ValueError):
    """The list of proxies cannot be read."""

    def __init__(self, entry: str) -> None:
        super().__init__(
            f"{entry!r} is no proxy: write name=admin-url|door-url, e.g. a=http://[::1]:9901|http://[::1]:8080"
        )
