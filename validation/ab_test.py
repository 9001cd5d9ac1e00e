#!/usr/bin/env python3
"""The runbooks' old name of `manage.py ab_test`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.execv(ROOT / ".venv/bin/python", ["python", str(ROOT / "manage.py"), "ab_test", *sys.argv[1:]])
