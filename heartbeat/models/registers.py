"""What the log's rows name by a number: written once, never changed, kept for as long as the log."""

from django.db import models


class Spelling(models.Model):
    """An id as a robot sent it. Two spellings of one robot share its key."""

    id = models.AutoField(primary_key=True)
    key = models.BinaryField(unique=True, help_text="exact bytes; a very long id is folded with SHA-256")
    robot_key = models.BinaryField(db_index=True, help_text="lowered bytes")
    robot_id = models.TextField(help_text="NUL shown as U+2400")
    first_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.robot_id


class Boot(models.Model):
    """One run of a robot, by the name it gave itself. Within it `sequence` rises."""

    id = models.AutoField(primary_key=True)
    robot_key = models.BinaryField()
    boot_id = models.TextField()
    first_at = models.DateTimeField(help_text="when it was first heard")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["robot_key", "boot_id"], name="one_boot_a_name")]

    def __str__(self) -> str:
        return self.boot_id


class Profile(models.Model):
    """What changes rarely in v2 heartbeats: kind, site, firmware, version, deployment, and what its lists are of.

    `document`: `{"kind", "site", "firmware", "version", "deployment_id", "motors": [[id, name], …],
    "channels": {channel: which motors, or null for all}, "cameras": [name, …], "services": [name, …]}`.
    """

    id = models.AutoField(primary_key=True)
    digest = models.BinaryField(unique=True, help_text="of the document")
    document = models.JSONField()

    def __str__(self) -> str:
        return f"{self.document.get('kind')} {self.document.get('version')}"
