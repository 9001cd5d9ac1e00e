"""What was measured: traffic, comparisons, gate results, and the guards' pulses."""

from django.db import models


class TrafficSample(models.Model):
    """The proxies' counters at one moment, cumulative and carried over restarts of a proxy.

    The difference of two samples is what happened between them, so a gate needs two rows however long its phase lasts.
    """

    at = models.DateTimeField(db_index=True)
    #: totals since the first sample ever, see `migration.traffic`
    totals = models.JSONField()
    #: the proxies' own values, by proxy, so that the next watchdog goes on where this one stopped
    raw = models.JSONField()

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"Traffic at {self.at:%d %b %H:%M:%S} UTC"


class Comparison(models.Model):
    """One comparison of every row in both systems."""

    at = models.DateTimeField(db_index=True)
    rows = models.PositiveIntegerField()
    #: confirmed differences: [{"robot_id", "field", "legacy", "new"}]
    different = models.JSONField(default=list, blank=True)
    #: how many more differ and were explained by somebody
    explained = models.PositiveIntegerField(default=0)
    #: how consistent each cohort is: [{"kind", "site", "rows", "equal"}]
    cohorts = models.JSONField(default=list, blank=True)
    seconds = models.FloatField()
    #: why nothing could be compared, such as a legacy that does not answer
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{len(self.different)} of {self.rows} rows differ"


class GateResult(models.Model):
    """What a gate said, with the evidence; a row for each change of verdict, its evidence the latest."""

    run = models.ForeignKey("migration.PhaseRun", on_delete=models.CASCADE, related_name="gate_results")
    gate = models.CharField(max_length=32)
    verdict = models.CharField(max_length=16)
    sentence = models.TextField()
    evidence = models.JSONField(default=dict)
    since = models.DateTimeField()
    judged_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["run", "gate", "-id"], name="latest_gate_result")]

    def __str__(self) -> str:
        return f"{self.gate}: {self.verdict}"


class Pulse(models.Model):
    """The latest progress of a process that guards the migration. A stuck process leaves it old."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S} UTC"
