"""What the watcher holds of each robot. Only the watcher writes here, under its lease."""

from django.db import models

from heartbeat.rules.liveness import Liveness as State

STATES = [(state.value, state.value) for state in State]
LEVELS = [("", "nobody was told"), ("late", "late"), ("offline", "offline")]


class RobotLiveness(models.Model):
    """The liveness of one robot, by its key; a rebuild of the robots leaves it as it is."""

    robot_key = models.BinaryField(primary_key=True)
    robot_id = models.TextField()
    state = models.TextField(choices=STATES)
    since = models.DateTimeField(help_text="when the state became true")
    heard_at = models.DateTimeField(null=True, help_text="the last heartbeat known when the state began")
    number = models.BigIntegerField(help_text="of its latest event")
    told = models.TextField(choices=LEVELS, default="", blank=True, help_text="the worst that an incident told of it")
    incident = models.ForeignKey("heartbeat.Incident", null=True, on_delete=models.PROTECT, related_name="+")
    falls = models.BigIntegerField(default=0, help_text="how often it left online")
    flap_score = models.FloatField(default=0)
    flap_at = models.DateTimeField(null=True)
    flapping = models.BooleanField(default=False)

    class Meta:
        db_table = "heartbeat_liveness"
        verbose_name_plural = "robot liveness"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=[state.value for state in State]), name="known_liveness"
            )
        ]

    def __str__(self) -> str:
        return f"{self.robot_id}: {self.state}"
