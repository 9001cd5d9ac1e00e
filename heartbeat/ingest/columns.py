"""The columns that a commit sends, with their types in PostgreSQL, in the order of the parameters."""

#: what every call has
ARRIVED = {
    "robot_key": "bytea",
    "row_key": "bytea",
    "received_at": "timestamptz",
    "at": "timestamptz",
    "request_id": "uuid",
    "role": "text",
    "side": "text",
    "address": "text",
}
_SAID_ITSELF = {
    "robot_id": "text",
    "status": "text",
    "message": "text",
    "health": "json",
    "deployment_id": "text",
    "version": "text",
}
#: input columns of a legacy call, in the order of the parameters
LEGACY_INPUT = {
    **ARRIVED,
    **_SAID_ITSELF,
    **{"call": "text", "current_version": "text", "group": "text", "exact": "json", "kind_by_group": "text"},
}
#: what of a v2 heartbeat many others say as well: a batch sends each combination once
V2_WORDS = {
    **{"role": "text", "side": "text", "health": "json", "services": "text", "reported_kind": "text", "site": "text"},
    **{"firmware": "text", "version": "text", "deployment_id": "text", "status": "text"},
    **{"watchdog_active": "boolean", "host_up": "boolean", "driver": "text"},
}
#: what else is known of it when it arrives …
V2_TOLD = {
    **{"robot_id": "text", "sequence": "bigint", "next_in_s": "real", "payload": "json", "rest": "json"},
    **{"boot_name": "text", "sent_at": "timestamptz", "message": "text", "battery_percent": "real"},
    **{"cpu_temperature_celsius": "real", "cpu_load_percent": "real", "memory_percent": "real", "disk_percent": "real"},
    **{"rssi_dbm": "real", "rtt_ms": "real", "x_vel": "real", "y_vel": "real", "theta_vel": "real"},
    **{"command_age_ms": "real", "command_rate_hz": "real", "observers": "integer"},
}
#: … and what its commit finds out; which words it says, and where its motors' and cameras' numbers end in the batch's
V2_FOUND = {"boot_id": "integer", "profile_id": "integer", "clock_offset_seconds": "double precision"}
_SHARES = {"motors_to": "integer", "motors_count": "integer", "cameras_to": "integer", "cameras_count": "integer"}
V2_OWN = {name: kind for name, kind in ARRIVED.items() if name not in V2_WORDS} | V2_FOUND
V2_INPUT = {**V2_OWN, **V2_TOLD, "words": "integer", **_SHARES}
