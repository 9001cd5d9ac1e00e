"""The page of the way forward: a backup's vote, the sequential tests' plots, cohorts."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from dashboard.migration import regions
from migration.models import Contact, GateResult, PhaseRun, Vote
from migration.rules.cohort_table import tag_of
from migration.rules.voting import Role
from tests.builders import heard_robot, person, sample

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch):
    """What another test's page has read is not this one's."""
    monkeypatch.setattr(regions, "_slowly", regions._Slowly(0.0))


def page_of(user):
    client = Client(headers={"hx-request": "true"})
    client.force_login(user)
    return client


def backs_up(user, role):
    user.user_permissions.add(Permission.objects.get(codename="cast_vote"))
    Contact.objects.create(
        duty=role, is_backup=True, name="Bo", telephone="1", login=user, changed_at=datetime.now(UTC)
    )
    return type(user).objects.get(pk=user.pk)


def test_a_named_backup_votes_for_the_role_and_whoever_backs_up_nobody_may_not(canary):
    stands_in = page_of(backs_up(person(None, "bo"), Role.QA))

    html = stands_in.get("/migration/").content.decode()
    assert "You vote as QA, whose named backup you are" in html
    refused = stands_in.post("/votes/", {"choice": "no_go", "role": "qa"})
    assert refused.status_code == 422
    cast = stands_in.post("/votes/", {"choice": "go", "role": "qa"})

    assert "Your go is recorded as backup of QA." in cast["HX-Trigger"]
    assert (Vote.objects.get().role, Vote.objects.get().as_backup) == ("qa", True)
    other = stands_in.post("/votes/", {"choice": "go", "role": "migration_lead"})
    assert other.status_code == 422
    assert "is not the named backup of Migration lead" in other.content.decode()
    assert "as backup" in stands_in.get("/migration/").content.decode()


def test_who_has_a_role_and_backs_up_another_chooses_and_the_choice_is_kept(canary):
    both = page_of(backs_up(person(Role.BACKEND), Role.INFRASTRUCTURE))

    assert '<option value="infrastructure">Infrastructure, standing in</option>' in (
        both.get("/partials/vote/").content.decode()
    )
    refused = both.post("/votes/", {"choice": "no_go", "role": "infrastructure"})
    assert '<option value="infrastructure" selected>' in refused.content.decode()
    both.post("/votes/", {"choice": "go", "role": "infrastructure"})

    assert Vote.objects.get().role == "infrastructure"
    html = both.get("/partials/vote/").content.decode()
    assert "Change your vote as Infrastructure" in html


def test_the_evidence_of_the_sequential_tests_is_drawn_in_the_gates_details(canary):
    began = datetime.now(UTC) - timedelta(seconds=60)
    PhaseRun.objects.update(evidence_from=began, started_at=began)
    for second in range(0, 60, 5):
        sample(began + timedelta(seconds=second), new_owner=(100 * second, 0), new_shadow=(20 * second, 0))
    GateResult.objects.create(
        run=canary,
        gate="performance",
        verdict="pass",
        sentence="good",
        since=began,
        judged_at=began,
        evidence={"parts": {"errors": {"verdict": "fail", "sentence": "9 errors in 10 requests"}}, "failed": {}},
    )

    html = page_of(person()).get("/migration/").content.decode()

    drawer = html.partition('id="gate-performance"')[2].partition('class="gate"')[0]
    assert drawer.count('data-testid="plot"') == 2
    assert "0 errors in 6,600 requests: below 0.1%; first pass at 3,600 requests" in drawer
    assert '<td class="num">6,600</td>' in html
    assert '<span class="st bad">Errors</span><span>9 errors in 10 requests</span>' in html


def test_cohorts_say_what_was_heard_of_what_was_expected(canary):
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    heard_robot("XLE_1", kind_by_id="xle", first_seen_at=long_ago, interval_seconds=20.0)

    html = page_of(person(None)).get("/migration/").content.decode()

    row = html.partition("<b>kind xle</b>")[2].partition("</tr>")[0]
    assert "0 of 3" in row
    assert "0.00\u00a0%" in row
    assert row.endswith(3 * '<td class="num">–</td>'), "legacy failed nobody of whom it owned nobody; no door counted"


def test_cohorts_say_what_new_failed_by_the_doors_own_count(canary):
    now = datetime.now(UTC)
    heard_robot("XLE_1", kind_by_id="xle", first_seen_at=now - timedelta(hours=1), interval_seconds=20.0)
    xle = {"requests": 400, "errors": 31, "passed_over": 7, "buckets": {"5": 200, "10": 369, "inf": 369}}
    few = {"requests": 12, "errors": 0, "passed_over": 0, "buckets": {"10": 12, "inf": 12}}
    sample(now - timedelta(seconds=20), cohorts={"new": {}})
    sample(now, cohorts={"new": {tag_of("xle", ""): xle, tag_of("lekiwi", ""): few}})

    html = page_of(person(None)).get("/migration/").content.decode()

    row = html.partition("<b>kind xle</b>")[2].partition("</tr>")[0]
    assert '31 of 400, <span class="st bad">7.75\u00a0%</span>, 7 not asked</td><td class="num">9.9\u00a0ms' in row
    row = html.partition("<b>kind lekiwi</b>")[2].partition("</tr>")[0]
    assert '0 of 12, inconclusive</td><td class="num">–</td>' in row, "neither 0 % nor a p99 of twelve"
