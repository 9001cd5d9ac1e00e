"""What one connection knows by number: robots that were met, their runs, profiles. Forgotten with the connection."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter

import asyncpg

from heartbeat.ingest.beat import Beat, V2Beat
from heartbeat.ingest.profiles import Profile
from heartbeat.ingest.queries import BOOTS, MEET, PROFILES
from heartbeat.ingest.runs import Run
from heartbeat.rules.clocks import Clock

MOST_PROFILES = 50_000
_arrival = attrgetter("received_at")


class Registers:
    """Looks up, enters what is new, and remembers."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        #: spellings that the database has
        self.met: set[bytes] = set()
        #: the newest heartbeat of each robot
        self.runs: dict[bytes, Run] = {}
        self._boots: dict[tuple[bytes, str], tuple[int, datetime]] = {}
        #: by identity: equal profiles are the same object
        self._profiles: dict[Profile, int] = {}

    def since(self, beats: Iterable[V2Beat]) -> datetime:
        """Since when any of these runs was heard."""
        return min(self._boots[beat.robot_key, beat.boot_name or ""][1] for beat in beats)

    async def name(self, beats: list[V2Beat]) -> None:
        """Give runs and profiles their numbers. Those committed for a batch that fails harm nobody."""
        boots, profiles = self._unnamed(beats)
        if boots:
            await self._name_boots(boots)
        if profiles:
            await self._name_profiles(profiles)
        if boots or profiles:
            await self.name(beats)

    def name_known(self, beats: list[V2Beat]) -> bool:
        """The same as far as they are known; whether all were."""
        boots, profiles = self._unnamed(beats)
        return not boots and not profiles

    def _unnamed(self, beats: list[V2Beat]) -> tuple[dict[tuple[bytes, str], V2Beat], set[Profile]]:
        boots: dict[tuple[bytes, str], V2Beat] = {}
        profiles: set[Profile] = set()
        for beat in beats:
            if beat.boot_name is not None:
                boot = self._boots.get((beat.robot_key, beat.boot_name))
                if boot is None:
                    boots.setdefault((beat.robot_key, beat.boot_name), beat)
                else:
                    beat.boot_id = boot[0]
            beat.profile_id = self._profiles.get(beat.profile)
            if beat.profile_id is None:
                profiles.add(beat.profile)
        return boots, profiles

    async def _name_boots(self, boots: dict[tuple[bytes, str], V2Beat]) -> None:
        keys, names = zip(*boots, strict=True)
        found = await self._connection.fetch(BOOTS, keys, names, list(map(_arrival, boots.values())))
        for row in found:
            self._boots[row["robot_key"], row["boot_id"]] = row["id"], row["first_at"]

    async def _name_profiles(self, profiles: Iterable[Profile]) -> None:
        if len(self._profiles) > MOST_PROFILES:
            self._profiles.clear()
        by_digest = {profile.digest: profile for profile in profiles}
        texts = [profile.document.decode() for profile in by_digest.values()]
        for row in await self._connection.fetch(PROFILES, list(by_digest), texts):
            self._profiles[by_digest[row["digest"]]] = row["id"]

    async def meet(self, strangers: Sequence[Beat]) -> dict[bytes, Run]:
        """Enter the robots of these beats, one beat a spelling, where they are not; returns the run of each."""
        columns = [
            (
                *(beat.row_key, beat.robot_key, beat.who.shown, beat.who.bucket, beat.who.kind, beat.received_at),
                *("v2" if isinstance(beat, V2Beat) else "legacy", beat.role),
            )
            for beat in strangers
        ]
        runs = {}
        for row in await self._connection.fetch(MEET, *zip(*columns, strict=True)):
            offset, boot = row["clock_offset_seconds"], row["boot_number"]
            clock = None if offset is None else Clock(offset, math.inf, datetime.now(UTC).timestamp())
            sequence = -1 if boot is None or row["sequence"] is None else row["sequence"]
            runs[row["key"]] = Run(boot, sequence, row["last_v2_at"], clock)
        return runs
