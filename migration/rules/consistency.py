"""How consistent each cohort of robots is: the share of its rows that both systems hold alike."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

#: more sites than this are not told apart: every one is a label of a metric
MOST_SITES = 40
OTHER = "(other sites)"


@dataclass(frozen=True, slots=True)
class CohortConsistency:
    """A cohort, how many rows of it were compared, and how many are equal."""

    kind: str
    site: str
    rows: int
    equal: int

    @property
    def percent(self) -> float:
        """0–100; a cohort without rows does not exist."""
        return 100.0 * self.equal / self.rows


def by_cohort(members: Iterable[tuple[str, str, str]], different: Collection[str]) -> list[CohortConsistency]:
    """Count rows by kind and site. `members` are (row, kind, site), `different` the rows that differ."""
    members = list(members)
    sites = {site for site, _ in Counter(site for _, _, site in members).most_common(MOST_SITES)}
    rows: Counter[tuple[str, str]] = Counter()
    equal: Counter[tuple[str, str]] = Counter()
    for row, kind, site in members:
        cohort = (kind, site if site in sites else OTHER)
        rows[cohort] += 1
        equal[cohort] += row not in different
    return [CohortConsistency(kind, site, rows[kind, site], equal[kind, site]) for kind, site in sorted(rows)]
