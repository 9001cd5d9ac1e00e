"""Is the way back proven? A pure judgement over the latest rehearsals."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proof:
    """The latest proven rehearsal, and how long a proof counts. Ages are real time: evidence is never scaled."""

    #: since the proven rehearsal ended; None if none ever was
    age_seconds: float | None
    #: its measured way back
    seconds: float | None
    limit_seconds: float
    #: what was moved
    robot_id: str = ""
    #: why the latest rehearsal failed; empty if it did not
    failure: str = ""
    #: a setting waives it, and every screen says so
    is_waived: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether it counts."""
        return self.age_seconds is not None and self.age_seconds <= self.limit_seconds and not self.failure

    @property
    def sentence(self) -> str:
        """As an operator reads it."""
        if self.is_waived:
            return "the way back is not rehearsed here: waived by a setting"
        if self.failure:
            return f"the latest rehearsal of the way back failed: {self.failure}"
        if self.age_seconds is None:
            return "the way back was never rehearsed"
        ago = f"{self.age_seconds / 60:.0f} min" if self.age_seconds >= 60 else f"{self.age_seconds:.0f} s"
        proven = f"way back proven {ago} ago, {self.seconds or 0:.1f} s"
        return proven if self.is_fresh else f"{proven}: too old, {self.limit_seconds / 60:.0f} min is the limit"

    @property
    def locks(self) -> bool:
        """Whether steps forward wait for a new one."""
        return not (self.is_waived or self.is_fresh)
