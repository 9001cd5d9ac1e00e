"""Robots that call legacy without the door: rows that changed although the door saw nothing (DESIGN.md, "Putting the
door in")."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Watched:
    """What happened in one stretch of time."""

    #: ids of legacy's rows whose `last_seen` changed
    changed: frozenset[str]
    #: robots' calls that all proxies counted in the same stretch, or a little longer
    calls_through_the_door: int
    #: lowered ids that `new` heard in it, where it hears every robot; None in Preparation, when it hears none
    heard_by_new: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Bypassers:
    """At least so many robots went around the door; `names` are those it can have been."""

    at_least: int
    names: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For an operator."""
        shown = ", ".join(self.names[:5]) + (f" and {len(self.names) - 5} more" if len(self.names) > 5 else "")
        if self.at_least == len(self.names):
            return f"{self.at_least:,} robots call legacy without the door: {shown}"
        return f"at least {self.at_least:,} robots call legacy without the door, among {shown}"


def bypassers(watched: Watched) -> Bypassers:
    """Who went around the door.

    Where `new` hears every robot, each changed row that it did not hear is one, by name. In Preparation the door's
    counters have no names: a call changes one row at most, so more changed rows than calls are at least the surplus.
    A robot that calls the door twice can hide one that goes around it: the shadow phase finds that one by name.
    """
    if watched.heard_by_new is not None:
        named = sorted(name for name in watched.changed if name.lower() not in watched.heard_by_new)
        return Bypassers(len(named), tuple(named))
    surplus = max(0, len(watched.changed) - watched.calls_through_the_door)
    return Bypassers(surplus, tuple(sorted(watched.changed)) if surplus else ())
