"""What a tag of a robot may be: one word that fits into a URL, a CSV cell and a rule."""

import re
from collections.abc import Iterable

LONGEST_TAG = 64
MOST_TAGS = 32
#: as JSON schema writes it, too
PATTERN = "^[a-z0-9][a-z0-9._:/-]*$"
_TAG = re.compile(PATTERN)


def why_no_tag(tag: str) -> str | None:
    """Why `tag` cannot be one, or None if it can."""
    if len(tag) > LONGEST_TAG:
        return f"has {len(tag)} characters, at most {LONGEST_TAG} are taken"
    if not _TAG.match(tag) or tag.endswith("\n"):
        return "must be lower-case letters, digits and . _ : / -, beginning with a letter or digit"
    return None


def in_order(tags: Iterable[str]) -> list[str]:
    """Each tag once, sorted, so that equal sets are equal lists."""
    return sorted(set(tags))
