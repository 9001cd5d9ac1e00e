"""One detector per kind of signal. A new one is one file here: a module with `detect`, found by itself.

`detect(report, layout)` concludes from one report, or returns None where the report does not hold its signal. Detectors
know nothing of each other and of time that passed; what they say together is `teleop.rules.fusion`'s. Weights are
log-odds, explained in docs/teleop.md.
"""

import importlib
import pkgutil
from collections.abc import Callable

from teleop.rules.finding import Finding
from teleop.rules.layouts import Layout
from teleop.rules.signals import Report

Detect = Callable[[Report, Layout], Finding | None]

DETECTORS: dict[str, Detect] = {
    module.name: importlib.import_module(f"{__name__}.{module.name}").detect
    for module in pkgutil.iter_modules(__path__)
}
_detects = tuple(DETECTORS.values())


def findings_in(report: Report, layout: Layout) -> list[Finding]:
    """What every detector finds in a report."""
    return [found for detect in _detects if (found := detect(report, layout)) is not None]
