#!/usr/bin/env python3
"""The runbooks' old name of `manage.py sync_legacy_to_new`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = str(ROOT / ".venv" / "bin" / "python")
os.execv(PYTHON, [PYTHON, str(ROOT / "manage.py"), "sync_legacy_to_new", *sys.argv[1:]])
