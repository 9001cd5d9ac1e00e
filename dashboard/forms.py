"""What a person may send from the page."""

from typing import Any

from django import forms

from migration.rules.voting import Choice

SAY_WHY = "Say why, in a few words."


class ReasonForm(forms.Form):
    """Anything that is done with a reason."""

    reason = forms.CharField(max_length=500, error_messages={"required": SAY_WHY})


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
    """A no-go and an abstention say why; a go may."""

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
