"""What a person may send from the page."""

from typing import Any

from django import forms

from migration.rules.voting import Choice

SAY_WHY = "Say why, in a few words."


class CommentForm(forms.Form):
    """A comment, if there is one."""

    comment = forms.CharField(required=False, max_length=500)


class AuditForm(forms.Form):
    """Which entries of the audit log."""

    q = forms.CharField(required=False, max_length=200)
    actor = forms.CharField(required=False, max_length=150)
    action = forms.CharField(required=False, max_length=64)
    since = forms.DateTimeField(required=False, error_messages={"invalid": "write it as 2026-11-24 09:00 (UTC)."})
    until = forms.DateTimeField(required=False, error_messages={"invalid": "write it as 2026-11-24 09:00 (UTC)."})
    before = forms.IntegerField(required=False, min_value=1)


class ReplayForm(forms.Form):
    """A phase run, and the thresholds to judge it by."""

    run = forms.IntegerField(min_value=1)
    error_rate = forms.CharField(required=False, max_length=20)
    p99_ms = forms.CharField(required=False, max_length=20)
    gate_error_rate = forms.CharField(required=False, max_length=20)


class ReasonForm(forms.Form):
    """Anything that is done with a reason."""

    reason = forms.CharField(
        max_length=500, help_text="(goes into the audit log)", error_messages={"required": SAY_WHY}
    )


class WindowTime(forms.DateTimeField):
    """A time, UTC, as people type it."""

    default_error_messages = {
        "required": "say when, such as 2026-11-24 08:00",
        "invalid": "write it as 2026-11-24 08:00 (UTC)",
    }
    widget = forms.TextInput


class RollbackForm(ReasonForm):
    """`leaving` is the phase that the person saw: if the fleet has left it meanwhile, nothing moves twice."""

    target = forms.ChoiceField(
        choices=[("previous", "previous"), ("emergency", "emergency")],
        error_messages={"required": "Say where to.", "invalid_choice": "Say where to: previous or emergency."},
    )
    leaving = forms.CharField(required=False)


class StopForm(ReasonForm):
    """Which robot shall end its session."""

    robot = forms.CharField(max_length=128, error_messages={"required": "Choose a robot."})


class VoteForm(forms.Form):
    """A no-go and an abstention say why; a go may. `role` is the one that is voted for, own or stood in for."""

    role = forms.CharField(required=False, max_length=32)
    choice = forms.ChoiceField(
        choices=[(choice.value, choice.value) for choice in Choice],
        error_messages={
            "required": "Choose go, no-go or abstain.",
            "invalid_choice": "Choose go, no-go or abstain.",
        },
    )
    comment = forms.CharField(required=False, max_length=500)

    def clean(self) -> dict[str, Any]:
        """A no-go that says nothing helps nobody."""
        sent = super().clean() or {}
        if sent.get("choice") == Choice.NO_GO and not sent.get("comment"):
            self.add_error("comment", "A no-go needs a comment: what must change?")
        return sent
