"""Why the control plane says no: one class per reason, with the sentence for the operator."""

from collections.abc import Sequence


class WrongState(Exception):
    """Something is not in the state that the change needs."""


class Refused(Exception):
    """A step that may not be taken now; `reasons` are what it waits for or what forbids it."""

    def __init__(self, sentence: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.reasons = list(reasons)


class MissingReason(Refused):
    """A rollback, a release or a cancellation says why."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs a reason: say why, in a few words")


class NotAVoter(Refused):
    """The person is in none of the six roles."""
