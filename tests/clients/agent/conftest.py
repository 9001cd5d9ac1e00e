"""The agent is a package of its own, which is not installed here."""

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3] / "clients" / "agent"
if str(PACKAGE) not in sys.path:
    sys.path.insert(0, str(PACKAGE))
