"""What a check before the migration found, each time it ran."""

from django.db import models


class CheckResult(models.Model):
    """One run of one check, with what it measured. The newest one of a name counts; older ones are its history."""

    name = models.CharField(max_length=64)
    #: as it was found: what a setting waives is waived when it is read, so that the finding stays
    verdict = models.CharField(max_length=16)
    sentence = models.TextField()
    evidence = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField()
    seconds = models.FloatField()
    asked_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["name", "-id"], name="latest_check_result")]
        permissions = [("run_checks", "May run the checks before the migration")]

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}"
