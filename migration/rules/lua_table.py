"""A table in a Lua filter of the robots' door, as the file (ECDS) that the door watches. Standard library only."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

_TYPES = "type.googleapis.com/envoy."


def filter_file(
    name: str, template: str, rows: Iterable[tuple[str, bytes]], *, mark: str, version: int
) -> dict[str, Any]:
    """The file of the filter `name`: `template` with rows of (word, robot's key) in the place of `mark`.

    Ids are chosen by robots and land in Lua source, so each is percent-quoted: no bracket, quote or newline gets in.
    """
    table = "\n".join(f"{word}\t{quote(key, safe='')}" for word, key in rows)
    resource = {
        "@type": _TYPES + "config.core.v3.TypedExtensionConfig",
        "name": name,
        "typed_config": {
            "@type": _TYPES + "extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": template.replace(mark, table)},
        },
    }
    return {"version_info": str(version), "resources": [resource]}
