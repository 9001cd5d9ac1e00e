"""Deployments, which travel as they are: id, version and order included."""

from django.db import models

from heartbeat.models.fields import PlainJSONField


class Package(models.Model):
    """The bytes of a package, kept once however many deployments offer them."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    content = models.BinaryField()

    def __str__(self) -> str:
        return self.sha256


class Deployment(models.Model):
    """One deployment. `document` is the object as legacy lists it, byte order of its keys included.

    The columns are what this system decides by; `heartbeat.deployments` keeps the two in line.
    """

    position = models.BigAutoField(primary_key=True, help_text="the order in which legacy learned of them")
    id = models.TextField(unique=True)
    version = models.TextField()
    branch = models.TextField(default="", blank=True)
    commit = models.TextField(default="", blank=True)
    author = models.TextField(default="", blank=True)
    message = models.TextField(default="", blank=True)
    target_group = models.TextField(default="all")
    auto_rollback = models.BooleanField(default=True)
    status = models.TextField()
    timestamp = models.TextField(help_text="ISO 8601 as given; ordered as text, as legacy does")
    checksum = models.TextField(default="", blank=True)
    package_path = models.TextField(default="", blank=True)
    package_size = models.BigIntegerField(default=0)
    is_rollback = models.BooleanField(default=False)
    rollback_from = models.TextField(default="", blank=True)
    document = PlainJSONField()
    package_sha256 = models.CharField(max_length=64, default="", blank=True, help_text="empty: the file is not there")

    class Meta:
        ordering = ["-timestamp", "position"]

    def __str__(self) -> str:
        return f"{self.id} ({self.version})"


class DeploymentsRevision(models.Model):
    """One row that a trigger renews with every change of the deployments, whoever makes it.

    Each commit of heartbeats reads it, so an update check is answered from memory and never from an old offer.
    """

    revision = models.UUIDField()

    def __str__(self) -> str:
        return str(self.revision)
