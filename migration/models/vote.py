"""One person's go or no-go for one phase run."""

from datetime import datetime

from django.conf import settings
from django.db import models

from migration.rules import voting


class Vote(models.Model):
    """One vote per person and phase run, changeable until the decision."""

    run = models.ForeignKey("migration.PhaseRun", on_delete=models.CASCADE, related_name="votes")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="votes")
    role = models.CharField(max_length=32, choices=[(role.value, role.words) for role in voting.Role])
    choice = models.CharField(max_length=16, choices=[(choice.value, choice.value) for choice in voting.Choice])
    comment = models.TextField(blank=True)
    cast_at = models.DateTimeField()
    #: the build and settings this vote judged; void when they change
    judged = models.CharField(max_length=128)
    #: the person is the named backup of the role, and stood in
    as_backup = models.BooleanField(default=False, db_default=False)
    #: why it no longer counts, "" while it does; voting again makes it count again
    void_reason = models.TextField(blank=True, default="", db_default="")
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["cast_at"]
        permissions = [("cast_vote", "May vote on the next phase")]
        constraints = [
            models.UniqueConstraint(fields=["run", "person"], name="one_vote_per_person_and_run"),
            models.UniqueConstraint(
                fields=["run", "role"], condition=models.Q(void_reason=""), name="one_valid_vote_per_role_and_run"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} ({self.role}): {self.choice}"

    def void(self, why: str, at: datetime) -> None:
        """It no longer counts. The first reason is kept."""
        if not self.void_reason:
            self.void_reason, self.voided_at = why, at

    @property
    def ballot(self) -> voting.Ballot:
        """The vote as the rules see it."""
        return voting.Ballot(
            role=voting.Role(self.role),
            person=self.person.get_username(),
            choice=voting.Choice(self.choice),
            comment=self.comment,
            cast_at=self.cast_at,
            judged=self.judged,
            as_backup=self.as_backup,
            void_reason=self.void_reason,
        )
