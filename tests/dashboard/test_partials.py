from datetime import timedelta

from dashboard.fleet import Fleet, Line, Mark
from dashboard.partials import REGIONS, bar, screen
from dashboard.snapshot import Snapshot
from tests.dashboard import states


def line(robot_id="Lekiwi_1", *, bucket=5, owner="new", mark=Mark.ONLINE):
    return Line(robot_id, "lekiwi", "", bucket, 30.0, str(mark), "online", None, owner, "idle", "", "", None)


def shown(*lines, **changes):
    return screen(Snapshot(at=states.AT, status=states.canary(**changes), fleet=Fleet("", lines).summary))


def test_every_region_is_rendered():
    assert set(shown().html) == set(REGIONS)


def test_the_split_shows_asked_without_and_observed_with_a_decimal():
    bar = shown().html["bar-split"]

    assert '<span class="v" data-testid="split-asked">10\u00a0%</span>' in bar
    assert '<span class="v" data-testid="split-observed">9.9\u00a0%</span>' in bar


def test_a_split_that_nobody_acknowledged_or_observed_draws_no_mark_for_it():
    split = {**states.canary()["split"], "acknowledged": None, "observed": None, "acknowledged_count": 0}

    bar = shown(split=split).html["bar-split"]

    assert "m-ack" not in bar
    assert "m-obs" not in bar
    assert "f-new" not in bar
    assert '<span class="v" data-testid="split-observed">–</span>' in bar


def test_banners_without_anything_to_say_are_empty():
    html = shown().html

    assert [html[region] for region in ("unguarded-words", "latch-words", "shift-words")] == ["", "", ""]


def test_an_unguarded_migration_is_the_worst_alert_and_says_who_is_stuck():
    html = shown(unguarded="The worker has made no progress yet. Steps forward are locked.", worst="bad").html

    assert "Unguarded: worker stuck" in html["bar-alert"]
    assert "The worker has made no progress yet." in html["unguarded-words"]


def test_a_waiting_shift_shows_what_it_waits_for_why_and_until_when():
    shift = {
        "id": 14,
        "from": 10,
        "to": 25,
        "state": "requested",
        "waits_for": "a worker to take it",
        "requested_at": states.AT.isoformat(),
        "deadline_at": (states.AT + timedelta(seconds=30)).isoformat(),
        "requested_by": "lead",
        "reason": "gates passed",
    }

    words = shown(shift=shift).html["shift-words"]

    assert "waiting for a worker to take it" in words
    assert "gates passed" in words
    assert "03:13:14" in words


def test_a_reason_of_another_person_cannot_bring_markup_into_the_page():
    latch = {"because": "<script>alert(1)</script>", "by": "oncall", "at": states.AT.isoformat()}

    html = shown(latch=latch).html

    assert "<script>" not in html["latch-words"]
    assert "&lt;script&gt;" in html["latch-words"]


def test_every_reason_links_to_where_it_is_explained():
    words = shown().html["next-words"]

    assert 'href="#gate-performance"' in words
    assert 'href="#votes-card"' in words


def test_copies_that_are_still_on_their_way_are_no_loss_here_either():
    mirror = {
        "to_new": {"primaries": 571, "copies": 568, "percent": 99.47},
        "to_legacy": {"primaries": 571, "copies": 500, "percent": 87.57},
    }

    agree = shown(mirror=mirror).html["agree"]

    assert '<span class="st ok">Mirror to <span class="new">' in agree
    assert '<span class="st bad">Mirror to <span class="legacy">' in agree


def test_no_region_needs_an_inline_style_or_handler():
    for region, html in shown(line()).html.items():
        assert " style=" not in html, region
        assert " on" + "click=" not in html, region


def test_the_counts_are_those_of_the_fleet():
    seen = shown(line(), line("Lekiwi_2", owner="legacy"), line("XLE_3", owner="", mark=Mark.SILENT))

    assert '<b data-testid="on-new">1</b>' in seen.html["fleet-head"]
    assert '<b data-testid="on-legacy">1</b>' in seen.html["fleet-head"]
    assert "unknown" in seen.html["fleet-head"]
    assert 'data-filter="silent">silent <b>1</b>' in seen.html["fleet-chips"]


def test_every_page_has_the_same_bar():
    snapshot = Snapshot(at=states.AT, status=states.canary(), fleet=Fleet("", ()).summary)

    small, whole = bar(snapshot), screen(snapshot)

    assert small.html.items() <= whole.html.items()
    assert small.data["signatures"]["rollback"] == whole.data["signatures"]["rollback"]
