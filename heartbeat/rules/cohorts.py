"""A cohort: the robots of a kind, at a site, with a tag, or all of these together."""

from collections.abc import Collection
from typing import NamedTuple


class Cohort(NamedTuple):
    """What its robots have in common; an empty text does not matter. One that is empty throughout holds nobody."""

    kind: str = ""
    site: str = ""
    tag: str = ""

    def holds(self, kind: str, site: str, tags: Collection[str]) -> bool:
        """Whether a robot of this kind, site and tags belongs to it."""
        if not any(self):
            return False
        return self.kind in ("", kind) and self.site in ("", site) and (not self.tag or self.tag in tags)

    def __str__(self) -> str:
        parts = [f"of kind {self.kind}" if self.kind else "", f"at site {self.site}" if self.site else ""]
        return " ".join(part for part in (*parts, f"tagged {self.tag}" if self.tag else "") if part)
