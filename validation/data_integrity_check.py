#!/usr/bin/env python3
"""The runbooks' old name of `manage.py data_integrity_check`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.execv(ROOT / ".venv/bin/python", ["python", str(ROOT / "manage.py"), "data_integrity_check", *sys.argv[1:]])
