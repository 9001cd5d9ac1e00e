"""Who may do what only one may do at a time."""

from django.db import models


class Lease(models.Model):
    """A task, its holder, and until when; `term` rises with every holder, so that an old one is recognised."""

    name = models.TextField(primary_key=True)
    holder = models.TextField()
    term = models.BigIntegerField()
    until = models.DateTimeField(help_text="by the database's clock")
    renewed_at = models.DateTimeField(help_text="the holder's latest progress, by the database's clock")
    detail = models.JSONField(default=dict, blank=True, help_text="what the holder says of its work")

    def __str__(self) -> str:
        return f"{self.name}, term {self.term}: {self.holder}"
