"""Which cohort the robots' door counts a robot in: kind and site, as a table in a filter of the door's.

A cohort's tag is what the door's statistics carry: `[a-z0-9_-]+`, made so that kind and site can be read back from it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from migration.rules.lua_table import filter_file

#: the name of the extension in the bootstrap's `config_discovery`
COHORTS = "cohorts"
#: more cohorts than this are not told apart: the door keeps a counter for each, and times by 12 edges
MOST_COHORTS = 50
MOST_KINDS = 8
#: beyond it the door would take a new table in more than a moment (`python -m benchmarks.cohorts` has 10,000)
MOST_ROBOTS = 50_000
#: what stands for kinds or sites beyond those; no name is ever encoded like this
OTHER = "_other"
#: robots that the table does not name
UNKNOWN = "_unknown"

_BETWEEN = "__"
_LONGEST = 64
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")


def tag_of(kind: str, site: str) -> str:
    """The tag of a cohort. Robots say their kind and site, so nothing but `[a-z0-9_-]` may be left of them."""
    return f"{_encoded(kind)}{_BETWEEN}{_encoded(site)}"


def names_in(tag: str) -> tuple[str, str]:
    """Kind and site that a tag was made of; empty where a robot has none, `UNKNOWN` where the table has no robot."""
    kind, between, site = tag.partition(_BETWEEN)
    return (_decoded(kind), _decoded(site)) if between else (UNKNOWN, "")


def table_of(robots: Iterable[tuple[bytes, str, str]]) -> dict[bytes, str]:
    """Tag by key (lowered bytes of the id), of (key, kind, site). At most `MOST_COHORTS` tags: the fullest keep names.

    Sites give way before kinds do, so that a kind's figures stay whole. Robots beyond `MOST_ROBOTS` are left out.
    """
    known = [(key, _encoded(kind), _encoded(site)) for key, kind, site in sorted(robots)[:MOST_ROBOTS]]
    kinds = {kind for kind, _ in Counter(kind for _, kind, _ in known).most_common(MOST_KINDS)}
    cohorts = {key: (kind if kind in kinds else OTHER, site) for key, kind, site in known}
    sizes = Counter(cohorts.values())
    told = set(sizes)
    if len(sizes) > MOST_COHORTS:
        told = {cohort for cohort, _ in sizes.most_common(MOST_COHORTS - MOST_KINDS - 1)}
    parts = {key: (kind, site if (kind, site) in told else OTHER) for key, (kind, site) in cohorts.items()}
    return {key: _BETWEEN.join(cohort) for key, cohort in parts.items()}


def cohort_source(table: Mapping[bytes, str], template: str, version: int) -> dict[str, Any]:
    """Return the ECDS file of a table: the Lua filter of `template` with it."""
    rows = ((tag, key) for key, tag in sorted(table.items()))
    return filter_file(COHORTS, template, rows, mark="@COHORTS@", version=version)


def _encoded(name: str) -> str:
    plain = "".join(chr(byte) if byte in _PLAIN else f"_{byte:02x}" for byte in name.encode("utf-8", "replace"))
    return plain if len(plain) <= _LONGEST else OTHER


def _decoded(part: str) -> str:
    if part == OTHER:
        return OTHER
    raw = re.sub(rb"_([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), part.encode())
    return raw.decode("utf-8", "replace")
