"""Does live traffic agree with the split that was asked for?"""

import math

#: below this many requests live traffic says nothing about a share in between
ENOUGH = 50
#: standard errors that a share may be off: robots speak at their own rates, so the sample is not independent
TOLERANCE_SIGMAS = 5.0
#: a share of a small fleet is never exactly the percentage: 200 robots at 10 % hold 16 to 24 on `new`
TOLERANCE_SHARE = 0.08


def contradiction(percent: float, owned_by_new: int, owned_by_legacy: int) -> str | None:
    """Return why live traffic contradicts a split of `percent`, or None. No traffic contradicts nothing.

    At 0 and 100 % the other side may still finish what was in flight; in between the share is compared
    with a tolerance wide enough for a small fleet.
    """
    total = owned_by_new + owned_by_legacy
    if total == 0:
        return None
    share = owned_by_new / total
    told = f"{owned_by_new:,} of {total:,} live requests went to new"
    if percent == 0 and owned_by_new >= 5 and share > 0.2:
        return f"{told} at 0 %"
    if percent == 100 and owned_by_legacy >= 5 and share < 0.8:
        return f"{told} at 100 %"
    if 0 < percent < 100 and total >= ENOUGH:
        expected = percent / 100
        tolerance = TOLERANCE_SIGMAS * math.sqrt(expected * (1 - expected) / total) + TOLERANCE_SHARE
        if abs(share - expected) > tolerance:
            return f"{told}, but {percent:.4g} % was asked"
    return None
