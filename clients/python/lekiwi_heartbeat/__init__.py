"""A robot's own heartbeat client: Python's standard library and nothing else."""

from lekiwi_heartbeat._version import VERSION
from lekiwi_heartbeat.client import Heartbeat
from lekiwi_heartbeat.enrolling import Refused, enrol

__all__ = ["Heartbeat", "Refused", "enrol"]
__version__ = VERSION
