"""Which paths of the site belong to the legacy contract."""

#: below /api/ everything is legacy's, its 404 included, but for these
_OURS = ("/api/v2", "/api/validation")


def is_legacy_path(path: str) -> bool:
    """Whether `path` is answered in legacy's dialect."""
    if path in ("/health", "/health/", "/ws"):
        return True
    return path.startswith("/api/") and not any(path == ours or path.startswith(f"{ours}/") for ours in _OURS)
