"""Schemathesis asks everything that an OpenAPI document allows and much that it does not, and checks every answer."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.pytest._test_builder import build_operation_test

from heartbeat.api.schema import operations

#: the same run every time, as long as the document is the same
CONFIG = {
    "seed": 20261124,
    "generation": {
        "deterministic": True,
        "max-examples": 8,
        "no-shrink": True,
        "with-security-parameters": False,
        # A NUL is a text to JSON schema and none to PostgreSQL: `test_listing` and `test_setting` send it.
        "allow-x00": False,
    },
    "phases": {"coverage": {"unexpected-methods": ["delete", "trace"]}},
}

_TABLES = ["id\na\n", "id,tags\na,lab;arm\nc,\n", "grace_seconds,id\n1.5,a\n"]
schemathesis.openapi.media_type("text/csv", st.sampled_from(_TABLES).map(str.encode))

Ask = Callable[[schemathesis.Case], None]


def labels(document: Mapping[str, Any], *, leave: str = "") -> list[str]:
    """ "METHOD path" of every operation without the tag `leave`."""
    found = operations(document)
    return [f"{method.upper()} {path}" for path, method, one in found if leave not in one.get("tags", ())]


def loaded(document: Mapping[str, Any], config: Sequence[Mapping[str, Any]] = ()) -> schemathesis.BaseSchema:
    """The schema of a document, without `cursor`: no schema tells which opaque texts are one (`test_listing` does).

    `config` are schemathesis' settings of operations.
    """
    described: Any = copy.deepcopy(document)
    for _, _, operation in operations(described):
        operation["parameters"] = [one for one in operation.get("parameters", ()) if one["name"] != "cursor"]
    whole = SchemathesisConfig.from_dict({**CONFIG, "operations": list(config)})
    return schemathesis.openapi.from_dict(described, config=whole)


def conform(schema: schemathesis.BaseSchema, label: str, ask: Ask) -> None:
    """Ask the operation of this label: examples, every boundary of its parameters, then what hypothesis makes up.

    Not by schemathesis' pytest plugin, which makes all that up while pytest collects, on every worker.
    """
    (operation,) = (one for result in schema.get_all_operations() if (one := result.ok()).label == label)
    test = build_operation_test(
        config=schema.config, operation=operation, test_func=ask, given_kwargs={}, feedback=NO_FEEDBACK
    )
    load_all_checks()
    test()


#: members that hold what a robot said, or whatever there is by its name
FREE = frozenset(
    {"health", "reported", "payload", "by_status", "legacy", "detail", "acknowledgements", "labels", "before", "after"}
)


def outline(answer: Any) -> Any:
    """What an answer consists of, whatever the values: names of members, and of those of the first in a list."""
    if isinstance(answer, dict):
        return {name: "…" if name in FREE else outline(inside) for name, inside in answer.items()}
    return [outline(answer[0])] if isinstance(answer, list) and answer and isinstance(answer[0], dict) else "…"
