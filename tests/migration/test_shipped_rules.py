"""The rules and configurations that are shipped: what they name has to exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.urls import resolve
from rest_framework.test import APIClient

from migration.alerts import pipeline
from migration.api.alerts import MOST_ALERTS
from migration.rules.alerting import EVALUATED_AT, LOOKS_BACK_SECONDS
from tests.builders import synced
from tests.migration.installation import door, in_phase, installation  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]


def shipped(name: str) -> Any:
    return yaml.safe_load((ROOT / "compose" / name).read_text())


RULES = [rule for group in shipped("prometheus/rules.yml")["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


@pytest.mark.django_db
def test_every_figure_that_a_rule_asks_for_is_told(installation):
    in_phase(installation, "rollout_50")
    synced()
    for owner in ("robot-1", "robot-2", "robot-3"):
        installation.beat(owner)
    told = APIClient().get("/metrics").content.decode() + installation.admin("/stats/prometheus")
    known = set(re.findall(r"^# TYPE (\w+) ", told, re.MULTILINE))
    known |= {f"{name}_bucket" for name in re.findall(r"^# TYPE (\w+) histogram", told, re.MULTILINE)}

    asked = {name for rule in RULES for name in re.findall(r"\b(?:lekiwi|envoy)_\w+", rule["expr"])}

    labels = {"envoy_cluster_name", "envoy_endpoint_hostname"}
    assert len(asked) > 10
    assert asked - labels - known == set()


def test_every_alert_says_how_grave_it_is_what_is_so_and_where_to_read_on():
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ("critical", "warning", "none")
        assert rule["annotations"]["summary"], name
        if name != settings.ALERT_PIPELINE_ALERT:
            assert (ROOT / rule["annotations"]["runbook_url"]).is_file(), name


def test_a_rule_that_rolls_back_is_critical_and_says_how_far_it_looks_back():
    acting = {name: rule for name, rule in ALERTS.items() if rule["labels"].get("action") == "rollback"}

    assert list(acting) == ["NewFails"]
    rule = acting["NewFails"]
    ranges = re.findall(r"\[(\d+)s\]", " ".join(each["expr"] for each in RULES if each.get("record")))
    beyond = 2 * int(shipped("prometheus/prometheus.yml")["global"]["scrape_interval"].removesuffix("s"))
    needed = max(map(int, ranges)) + int(rule["for"].removesuffix("s")) + beyond
    assert rule["labels"]["severity"] == "critical"
    assert int(rule["annotations"][LOOKS_BACK_SECONDS]) >= needed


def test_the_proof_fires_by_its_name_and_comes_more_often_than_it_is_asked_for():
    proof = ALERTS[settings.ALERT_PIPELINE_ALERT]
    (route,) = [
        route
        for route in shipped("alertmanager/alertmanager.yml")["route"]["routes"]
        if f'alertname="{settings.ALERT_PIPELINE_ALERT}"' in route["matchers"]
    ]

    assert EVALUATED_AT in proof["annotations"]
    interval, repeat = (int(route[name].removesuffix("s")) for name in ("group_interval", "repeat_interval"))
    assert repeat < interval, "else every other look at the group comes a moment too early"
    assert 2 * interval < pipeline.PROVEN_FOR_SECONDS


def test_the_receiver_leads_to_the_webhook_with_a_secret_and_no_more_alerts_than_are_taken():
    ((receiver,),) = [each["webhook_configs"] for each in shipped("alertmanager/alertmanager.yml")["receivers"]]

    assert resolve(receiver["url"].partition(":8001")[2]).url_name == "alertmanager"
    assert receiver["http_config"]["authorization"] == {"credentials_file": "token"}
    assert receiver["send_resolved"] is True
    assert receiver["max_alerts"] == MOST_ALERTS
