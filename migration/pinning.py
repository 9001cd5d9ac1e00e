"""Which robots are pinned to a side."""

from migration.models import Pin


def pins() -> dict[str, str]:
    """Every pin: lowered robot id → side."""
    return dict(Pin.objects.values_list("key", "side"))
