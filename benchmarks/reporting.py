"""What every benchmark prints: a table, the machine it ran on, and the same as JSON."""

import argparse
import json
import math
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def arguments(what: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    return parser


def machine() -> str:
    """The machine this runs on: cores, memory, system, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Rows as text in columns; the first row is the heading."""
    text = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in text) for column in range(len(text[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in text]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def write(figures: dict[str, Any], path: Path | None) -> None:
    """Write the figures, with the machine, to `path` if there is one."""
    if path:
        path.write_text(json.dumps({**figures, "machine": machine()}, indent=1) + "\n")


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed (nearest rank); None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
