"""Layouts, signals, how each robot stands, sessions and what decided them, requests to stop."""

from teleop.models.cursor import FollowerCursor
from teleop.models.layout import RobotLayout
from teleop.models.legacy_claim import LegacyClaim
from teleop.models.operation import RobotOperation
from teleop.models.session import Participation, QualitySample, Session, SessionEvent
from teleop.models.signal import Signal
from teleop.models.stop_request import StopRequest

__all__ = [
    "FollowerCursor",
    "LegacyClaim",
    "Participation",
    "QualitySample",
    "RobotLayout",
    "RobotOperation",
    "Session",
    "SessionEvent",
    "Signal",
    "StopRequest",
]
