"""The history of heartbeats: partitions made ahead, one-minute rollups, and what has served its time dropped."""
