"""A robot's way through an update: offered → downloading → deploying → success or failed → idle."""

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Any

# Seconds that each reported status lasts at least and at most.
LASTS = {"downloading": (1.0, 4.0), "deploying": (2.0, 8.0), "success": (8.0, 30.0), "failed": (8.0, 30.0)}
FAILING_SHARE = 0.05


@dataclass(slots=True)
class Update:
    """The words of the heartbeat that are about software; `status` is one of legacy's five."""

    chance: random.Random
    version: str
    status: str = "idle"
    message: str | None = None
    deployment_id: str | None = None
    _offer: dict[str, Any] | None = None
    _until: float = 0.0

    def accept(self, body: bytes, now: float) -> bool:
        """Take up an update check's answer if it offers something and the robot is free. Did it?"""
        try:
            offer = json.loads(body)
        except ValueError:
            return False
        if self.status != "idle" or not isinstance(offer, dict) or not offer.get("update_available"):
            return False
        self._offer, self.deployment_id = offer, offer["deployment_id"]
        self._enter("downloading", None, now)
        return True

    def wants_package(self, now: float) -> str | None:
        """The path to download from, once that is due."""
        if self.status == "downloading" and self._offer is not None and now >= self._until:
            return str(self._offer["download_url"])
        return None

    def received(self, package: bytes | None, now: float) -> None:
        """The package's bytes, or None when the download failed; only the announced bytes are deployed."""
        assert self._offer is not None
        if package is None:
            self._enter("failed", "Download failed", now)
        elif hashlib.sha256(package).hexdigest() != self._offer["checksum"]:
            self._enter("failed", "Checksum mismatch", now)
        else:
            self._enter("deploying", None, now)

    def advance(self, now: float) -> None:
        """Move on when the present status has lasted long enough."""
        if now < self._until:
            return
        if self.status == "deploying" and self._offer is not None:
            if self.chance.random() < FAILING_SHARE:
                self._enter("failed", "Service did not start", now)
            else:
                self.version = str(self._offer["version"])
                self._enter("success", "Deployed successfully", now)
        elif self.status in ("success", "failed"):
            self.status, self.message, self._offer = "idle", None, None

    def _enter(self, status: str, message: str | None, now: float) -> None:
        self.status, self.message = status, message
        self._until = now + self.chance.uniform(*LASTS[status])
