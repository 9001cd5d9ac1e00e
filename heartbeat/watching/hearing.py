"""How ingest says that heartbeats can be stored, through the session that stores them. No Django here.

`heartbeat_say_hearing(heard)` is a function of the database: everything received until `heard` is stored. It keeps the
latest word in one row, and what lay between two words that are more than a second apart as a deaf time, so that a
watcher which was not running itself finds it later.
"""

#: how often ingest says so
PULSE_SECONDS = 0.25
#: for drivers that number their parameters
SAY_HEARING = "SELECT heartbeat_say_hearing($1)"
