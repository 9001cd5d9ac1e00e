"""A fleet of simulated robots that speak the legacy protocol, or v2, to whatever answers at the door."""

import sys
from pathlib import Path

# The robots' own client is a package of its own, which is not installed here; v2 robots run its decisions.
_CLIENT = str(Path(__file__).resolve().parents[2] / "clients" / "python")
if _CLIENT not in sys.path:
    sys.path.append(_CLIENT)
