"""The fleet's tables: what may be restored. No control table is among them, and none refers to them."""

#: numbers that the log refers to; never deleted from, so what was entered after a backup is kept beside it
REGISTERS = ("heartbeat_spelling", "heartbeat_boot", "heartbeat_profile")
LOG = "heartbeat_heartbeat"
#: derived from the log, but for what operators set on robots
STATE = ("heartbeat_robot", "heartbeat_legacyrow")
ALL = (*REGISTERS, LOG, *STATE)
