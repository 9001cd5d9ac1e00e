"""What any Linux machine can say about itself, read from /proc and /sys. What it cannot say is left out."""

import os
import shutil
from pathlib import Path
from typing import Any

THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
MEMORY = Path("/proc/meminfo")
WIRELESS = Path("/proc/net/wireless")


def read_machine() -> dict[str, Any]:
    """CPU temperature (°C) and load (percent of all cores), memory and disk in use (percent), Wi-Fi signal (dBm)."""
    known = {
        "cpu_temperature_celsius": _temperature(),
        "cpu_load_percent": round(os.getloadavg()[0] / (os.cpu_count() or 1) * 100, 1),
        "memory_percent": _memory(),
        "disk_percent": _disk(),
        "network": _network(),
    }
    return {name: value for name, value in known.items() if value is not None}


def _temperature() -> float | None:
    try:
        return int(THERMAL.read_text()) / 1000
    except (OSError, ValueError):
        return None


def _memory() -> float | None:
    try:
        lines = (line.split() for line in MEMORY.read_text().splitlines())
        kilobytes = {fields[0]: int(fields[1]) for fields in lines}
        return round(100 * (1 - kilobytes["MemAvailable:"] / kilobytes["MemTotal:"]), 1)
    except (OSError, ValueError, KeyError, IndexError, ZeroDivisionError):
        return None


def _disk() -> float:
    usage = shutil.disk_usage("/")
    return round(100 * usage.used / usage.total, 1)


def _network() -> dict[str, float] | None:
    try:
        fields = WIRELESS.read_text().splitlines()[2].split()
        return {"rssi_dbm": float(fields[3])}
    except (OSError, ValueError, IndexError):
        return None
