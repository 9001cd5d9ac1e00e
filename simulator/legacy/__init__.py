"""The legacy server as the fleet knows it: its contract, its memory and its faults."""
