"""What the list of robots can be filtered, searched and sorted by."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework import serializers

from heartbeat.api.paging import Keyset, Order
from heartbeat.api.queries import Moment, Query, several
from heartbeat.models import Kind, Protocol, Side
from heartbeat.rules.liveness import Liveness
from heartbeat.rules.tags import LONGEST_TAG

UNMARKED = "unmarked"
#: sorts before every heartbeat
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class ByRobot(Keyset):
    """Robots by id, which no heartbeat changes, or by what they last said, where a row may move while one pages."""

    orders = {
        "id": Order("key", bytes),
        "kind": Order("kind", str),
        "site": Order("site", str),
        "status": Order("status", str),
        "version": Order("version", str, ""),
        "bucket": Order("bucket", int, -1),
        "battery_percent": Order("battery_percent", float, -1.0),
        "first_seen": Order("first_seen_at", datetime, NEVER),
        "last_seen": Order("last_seen_at", datetime, NEVER),
    }
    default = "id"
    unique = Order("key", bytes)
    limit = 500
    highest_limit = 10_000


def _text(**options: Any) -> serializers.CharField:
    return serializers.CharField(min_length=1, max_length=128, **options)


class RobotQuery(Query):
    """Each filter leaves the robots that fit; one that is given several times fits any of its values."""

    kind = several(serializers.ChoiceField(Kind.values))
    site = several(_text())
    status = several(_text(), help_text="As the robot reported it, such as `idle`")
    liveness = several(serializers.ChoiceField([state.value for state in Liveness]))
    owner = several(
        serializers.ChoiceField([Side.NEW.value, Side.LEGACY.value, UNMARKED]),
        help_text="The owner of its latest call; `unmarked` did not come through the robots' door",
    )
    protocol = several(serializers.ChoiceField(Protocol.values), help_text="Of its latest call")
    version = several(_text())
    tag = several(
        serializers.CharField(min_length=1, max_length=LONGEST_TAG), help_text="Given several times: has all of them"
    )
    last_seen_after = Moment(required=False, help_text="Heard at this time or later")
    last_seen_before = Moment(required=False, help_text="Last heard before this time")
    heard = serializers.BooleanField(required=False, help_text="`false`: enrolled and never heard")
    search = _text(required=False, help_text="A part of the id or the site, in any case, or a whole tag")


def narrowed(robots: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
    """The robots that fit every parameter in `asked` (parsed by `RobotQuery`)."""
    for name in ("kind", "site", "status", "liveness", "protocol", "version"):
        if name in asked:
            robots = robots.filter(**{f"{name}__in": asked[name]})
    if "owner" in asked:
        sides = [Side.UNMARKED.value if owner == UNMARKED else owner for owner in asked["owner"]]
        robots = robots.filter(last_side__in=sides)
    if "tag" in asked:
        robots = robots.filter(tags__contains=asked["tag"])
    if "last_seen_after" in asked:
        robots = robots.filter(last_seen_at__gte=asked["last_seen_after"])
    if "last_seen_before" in asked:
        robots = robots.filter(last_seen_at__lt=asked["last_seen_before"])
    if "heard" in asked:
        robots = robots.filter(last_seen_at__isnull=not asked["heard"])
    if "search" in asked:
        word = asked["search"]
        anywhere = Q(robot_id__icontains=word) | Q(site__icontains=word) | Q(tags__contains=[word.lower()])
        robots = robots.filter(anywhere)
    return robots
