"""Whom to call, where to talk, who is on call, and who is asked next."""

from django.conf import settings
from django.db import models

from migration.rules import contacts


class Contact(models.Model):
    """One person or desk in one duty: the one named for it, or the backup."""

    duty = models.CharField(max_length=32, choices=[(duty.value, duty.words) for duty in contacts.Duty])
    is_backup = models.BooleanField(default=False)
    name = models.CharField(max_length=150)
    #: the login of that person here, if there is one: a backup may sign with it
    login = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="contacts"
    )
    telephone = models.CharField(max_length=64, blank=True)
    email = models.EmailField(blank=True)
    note = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["duty", "is_backup", "name"]
        permissions = [("change_contacts", "May change contacts, channels, the rota and the escalation path")]
        constraints = [
            models.UniqueConstraint(
                fields=["duty", "name"],
                name="one_contact_per_duty_and_name",
                violation_error_message="this name is in this duty already",
            ),
            models.CheckConstraint(
                condition=~models.Q(telephone="") | ~models.Q(email=""),
                name="a_contact_can_be_reached",
                violation_error_message="give a telephone number or an e-mail address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_duty_display()}{', backup' if self.is_backup else ''})"


class Channel(models.Model):
    """A place to talk or to be told: a chat channel, the war room, the call for incidents."""

    purpose = models.CharField(
        max_length=32, unique=True, choices=[(purpose.value, purpose.words) for purpose in contacts.Purpose]
    )
    name = models.CharField(max_length=150)
    #: where it is: a URL, a number to dial, a room
    address = models.CharField(max_length=500)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["purpose"]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()}: {self.name}"


class RotaShift(models.Model):
    """One contact is on call from `starts_at` until `ends_at`."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="rota")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        ordering = ["starts_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")),
                name="a_shift_on_the_rota_ends_after_it_starts",
                violation_error_message="the end must be later than the start",
            )
        ]

    def __str__(self) -> str:
        return f"{self.contact.name} from {self.starts_at:%d %b %H:%M} UTC"


class EscalationStep(models.Model):
    """Who is told when nobody acknowledged for `after_minutes`; real minutes at any time scale."""

    after_minutes = models.PositiveSmallIntegerField(unique=True)
    duty = models.CharField(max_length=32, choices=[(duty.value, duty.words) for duty in contacts.Duty])

    class Meta:
        ordering = ["after_minutes"]

    def __str__(self) -> str:
        return f"after {self.after_minutes} min: {self.get_duty_display()}"
