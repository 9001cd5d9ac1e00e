"""A standing as JSON, and back: what a watcher needs to go on where another one stopped."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from teleop.rules.signals import Basis, Driver
from teleop.rules.standing import Open, Standing, State


def written(standing: Standing) -> dict[str, Any]:
    """As JSON can carry it."""
    fields = asdict(standing)
    if standing.open:
        fields["open"]["operators"] = sorted(standing.open.operators)
    return fields


def read(fields: Mapping[str, Any]) -> Standing:
    """What `written` made; raises TypeError or ValueError for anything else."""
    opened = fields.get("open")
    if opened:
        kinds = {"driver": Driver(opened["driver"]), "operators": frozenset(opened["operators"])}
        opened = Open(**{**opened, **kinds})
    words = {"state": State(fields["state"]), "basis": Basis(fields["basis"])}
    return Standing(**{**fields, **words, "open": opened})
