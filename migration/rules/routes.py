"""A plan as the files that Envoy watches: routes (RDS) and the filter with the pins (ECDS)."""

import json
from collections.abc import Mapping
from typing import Any

from migration.rules.lua_table import filter_file
from migration.rules.plans import InvalidPlan, RoutePlan
from migration.rules.split import BUCKETS_PER_PERCENT, Side, default_side, key_of

__all__ = ["InvalidPlan", "RoutePlan", "filter_source", "plan_in", "route_configuration"]

Json = dict[str, Any]

#: the name in the bootstrap's `rds`, and of the extension in its `config_discovery`
ROUTES, FILTER = "fleet", "robots"
#: what is ours in Envoy's metadata
OURS = "lekiwi"
PROBE = "/_door/side"

_TYPES = "type.googleapis.com/envoy."
#: the only calls that are copied, retried and counted for ejection
_ROBOT_CALLS = (("POST", "/api/robot/status"), ("GET", "/api/check-update"))
_V2_PATHS = (
    *({"path": f"/api/v2/{name}"} for name in ("heartbeat", "heartbeats", "enrol", "teleop/signals")),
    {"prefix": "/api/v2/ping/"},
)
_ROBOT_SOCKET = {"prefix": "/ws/robot/"}
#: what operators and tools call of legacy, once `new` answers it: the list keeps the rest of the site out
_OPERATOR_PATHS: tuple[Json, ...] = (
    *({"path": f"/{name}"} for name in ("health", "health/", "robots", "robots/count", "deployments")),
    # Below /api/ legacy answers whatever is asked, in its own words; v2 and its like have a digit or are named above.
    # Letters alone: an escaped letter is none, so no spelling of /api/v2 gets through.
    {"safe_regex": {"regex": "/api/[a-z-]+(/.*)?"}},
    *({"path": f"/{name}"} for name in ("docs", "redoc", "openapi.json")),
)
_NOT_OPERATORS: tuple[Json, ...] = ({"path_separated_prefix": "/api/validation"},)
#: the simulator's controls in any spelling: what legacy decodes must not slip past a plain comparison
_SIMULATOR = r"(?i)/+(_|%5f)(s|%73)(i|%69)(m|%6d)((/|;|%2f|%3b|%3f).*)?"
_OTHER_SIDE = {Side.NEW: Side.LEGACY, Side.LEGACY: Side.NEW}

# A robot gives up after 5 to 10 s. With the other system at hand 1 s a try keeps a p99 of 500 ms measurable;
# without one nothing is won by giving up before the robot does.
_FAILOVER = {
    "num_retries": 1,
    "retry_on": "connect-failure,refused-stream,reset,5xx",
    "per_try_timeout": "1s",
    "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": _TYPES + "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    },
}
_ALONE = {
    "num_retries": 1,
    # Both calls may be repeated: a connection that legacy closed while it was idle is no failure of a robot's.
    "retry_on": "connect-failure,refused-stream,reset",
    "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
}


def route_configuration(plan: RoutePlan, version: int, note: Mapping[str, str] | None = None) -> Json:
    """Return the RDS file of a plan: one rename changes the routes and what is known about them together.

    `note` (who, why, when) travels with the plan in the virtual host's metadata; `plan_in` reads it back.
    """
    ours = {"plan": plan.to_dict(), "version": version, **(note or {})}
    host = {
        "name": ROUTES,
        "domains": ["*"],
        "metadata": {"filter_metadata": {OURS: ours}},
        # Tells `new` in x-envoy-attempt-count that it answers for legacy.
        "include_request_attempt_count": True,
        "response_headers_to_add": [_header("x-answered-by", f"%UPSTREAM_METADATA({OURS}:system)%")],
        "routes": _routes(plan, version),
    }
    resource = {
        "@type": _TYPES + "config.route.v3.RouteConfiguration",
        "name": ROUTES,
        # Without it an unknown cluster is accepted, and every robot gets 503.
        "validate_clusters": True,
        "virtual_hosts": [host],
    }
    return {"version_info": str(version), "resources": [resource]}


def plan_in(configuration: object) -> tuple[RoutePlan, int, Mapping[str, Any]]:
    """Return the plan, version and note that a route file carries. Raises `InvalidPlan`."""
    try:
        host = configuration["resources"][0]["virtual_hosts"][0]  # type: ignore[index]
        ours = host["metadata"]["filter_metadata"][OURS]
        version = int(ours["version"])
        plan = ours["plan"]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InvalidPlan("metadata", f"no plan of ours in it ({error!r})") from None
    return RoutePlan.from_dict(plan), version, ours


def filter_source(plan: RoutePlan, template: str, version: int = 1) -> Json:
    """Return the ECDS file of a plan: the Lua filter of `template` with the plan's pins and cohort."""
    rows = ((str(side), key_of(robot_id)) for robot_id, side in plan.members.items())
    return filter_file(FILTER, template, rows, mark="@PINS@", version=version)


def _routes(plan: RoutePlan, version: int) -> list[Json]:
    ownership = _ownership(plan)
    return [
        _answer({"safe_regex": {"regex": _SIMULATOR}}, 404, {"detail": "Not Found"}),
        *(
            _answer({**match, "headers": marks}, 200, {"side": str(side), "version": version})
            for match in ({"path": PROBE}, {"prefix": f"{PROBE}/"})
            for marks, side in ownership
        ),
        _answer({"prefix": "/_door/"}, 404, {"detail": "Not Found"}),
        *_v2(plan),
        *(
            _robot_call(plan, {"path": path, "headers": [_is(":method", method), *marks]}, side)
            for method, path in _ROBOT_CALLS
            for marks, side in ownership
        ),
        _download(plan),
        *_operators(plan),
    ]


def _ownership(plan: RoutePlan) -> list[tuple[list[Json], Side]]:
    """The one list of match rules: robots' calls and probes follow the same one, in this order."""
    rules: list[tuple[list[Json], Side]] = []
    if plan.honours_pins and (plan.pins or plan.cohort):
        rules += [([_is("x-robot-pin", str(side))], side) for side in Side]
    if 0 < plan.percent < 100:
        moved = {"start": 0, "end": plan.percent * BUCKETS_PER_PERCENT}
        rules.append(([{"name": "x-robot-bucket", "range_match": moved}], Side.NEW))
    return [*rules, ([], default_side(plan.percent))]


def _robot_call(plan: RoutePlan, match: Json, owner: Side) -> Json:
    alone = owner is Side.LEGACY and not plan.failover_to_new
    other = _OTHER_SIDE[owner]
    route: Json = {
        "cluster": "legacy_only" if alone else f"{owner}_first",
        "timeout": "10s" if alone else "5s",
        "retry_policy": _ALONE if alone else _FAILOVER,
    }
    if plan.shadow:
        mark = {"append": _header("x-shadow", "1")}
        route["request_mirror_policies"] = [
            {
                "cluster": f"{other}_shadow",
                "request_headers_mutations": [mark],
                # A copy differs from its primary in the mark alone.
                "disable_shadow_host_suffix_append": True,
            }
        ]
    ours = {"owner": str(owner), "mirrored": str(other) if plan.shadow else "nobody"}
    return {
        "match": match,
        "route": route,
        # The access log's tags come from here, not from headers.
        "metadata": {"filter_metadata": {OURS: ours}},
        "stat_prefix": f"owner_{owner}",
        "request_headers_to_add": [_header("x-side", str(owner)), *([] if plan.accept_v2 else [_V2_REFUSED])],
    }


def _v2(plan: RoutePlan) -> list[Json]:
    if plan.accept_v2:
        calls: list[Json] = [_to("ingest_only", match, timeout="5s") for match in _V2_PATHS]
        return [*calls, _socket("ingest_only", _ROBOT_SOCKET)]
    refusal = {"detail": "v2 is refused for now; use the legacy call, POST /api/robot/status"}
    return [_answer(match, 503, refusal, _header("retry-after", "30")) for match in (*_V2_PATHS, _ROBOT_SOCKET)]


def _download(plan: RoutePlan) -> Json:
    """A package is sent for as long as it takes. What legacy does not have, the site may."""
    match = {"prefix": "/api/download/"}
    if not plan.failover_to_new:
        return _to("legacy_plain", match, timeout="0s", idle_timeout="60s")
    falls_over = {
        **_FAILOVER,
        "retry_on": "connect-failure,refused-stream,reset,5xx,retriable-status-codes",
        "retriable_status_codes": [404],
        # Counts until the first byte of the answer, and does not cut what is being sent.
        "per_try_timeout": "3s",
    }
    return _to("download_first", match, timeout="0s", idle_timeout="60s", retry_policy=falls_over)


def _operators(plan: RoutePlan) -> list[Json]:
    """Never copied, never retried: `POST /api/rollback` must happen once."""
    if plan.operators is Side.LEGACY:
        return [_socket("legacy_plain", {"path": "/ws"}), _to("legacy_plain", {"prefix": "/"}, timeout="60s")]
    known = [_to("site", match, timeout="60s") for match in _OPERATOR_PATHS]
    kept_out = [_answer(match, 404, {"detail": "Not Found"}) for match in (*_NOT_OPERATORS, {"prefix": "/"})]
    return [_socket("site", {"path": "/ws"}), *kept_out[:-1], *known, kept_out[-1]]


def _to(cluster: str, match: Json, **route: Any) -> Json:
    return {"match": match, "route": {"cluster": cluster, **route}}


def _socket(cluster: str, match: Json) -> Json:
    # The timeout bounds the handshake alone; an open socket may be silent.
    return _to(cluster, match, timeout="2s", idle_timeout="0s")


def _answer(match: Json, status: int, body: Json, *headers: Json) -> Json:
    content_type = _header("content-type", "application/json")
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": json.dumps(body)}},
        "response_headers_to_add": [content_type, *headers],
    }


def _is(name: str, value: str) -> Json:
    return {"name": name, "string_match": {"exact": value}}


def _header(key: str, value: str) -> Json:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


#: tells `new` that a robot has no way but the legacy call: it then asks for no token and keeps no path closed
_V2_REFUSED = _header("x-v2", "refused")
