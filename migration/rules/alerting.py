"""What an alert of Alertmanager means here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Labels = Mapping[str, str]

#: labels of a severity that somebody has to be woken for; whatever else it says is a warning
CRITICAL = frozenset({"critical", "page", "emergency"})
ROLLBACK = "rollback"
LONGEST_NAME = 300
#: how long before it fires a rule's evidence may lie where the rule does not say so: range, `for`, scrape, evaluation
LOOKS_BACK = timedelta(seconds=60)
#: the annotation with which a rule says so, seconds
LOOKS_BACK_SECONDS = "looks_back_seconds"
_MOST_DIGITS = 6
#: the annotation with which the always-firing rule says when it was evaluated, Unix time
EVALUATED_AT = "evaluated_at"


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert as Alertmanager sent it."""

    name: str
    fingerprint: str
    is_firing: bool
    labels: Labels
    annotations: Labels
    began_at: datetime
    group: str = ""

    @property
    def key(self) -> str:
        """One alert for each set of labels, in at most `LONGEST_NAME` characters."""
        return f"{self.name[: LONGEST_NAME - 1 - len(self.fingerprint)]} {self.fingerprint}"

    @property
    def severity(self) -> str:
        """critical or warning."""
        return "critical" if self.labels.get("severity", "").lower() in CRITICAL else "warning"

    @property
    def sentence(self) -> str:
        """What an operator reads: the summary of the rule, else its description, else its name and labels."""
        told = self.annotations.get("summary") or self.annotations.get("description")
        if told:
            return told
        labels = ", ".join(f"{name}={value}" for name, value in sorted(self.labels.items()) if name != "alertname")
        return f"{self.name}: {labels}" if labels else self.name

    @property
    def evaluated_at(self) -> datetime | None:
        """When its rule was evaluated, None if it does not say so."""
        told = self.annotations.get(EVALUATED_AT, "")
        try:
            return datetime.fromtimestamp(float(told), UTC)
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def judges_from(self) -> datetime:
        """From when on its evidence may be. Prometheus tells when the rule fired, which is after its `for`."""
        told = self.annotations.get(LOOKS_BACK_SECONDS, "")
        is_told = told.isascii() and told.isdigit() and len(told) <= _MOST_DIGITS
        looks_back = timedelta(seconds=int(told)) if is_told else LOOKS_BACK
        return self.began_at - min(looks_back, self.began_at - datetime.min.replace(tzinfo=UTC))

    @property
    def wants_rollback(self) -> bool:
        """A critical alert whose rule says `action: rollback`, while it fires."""
        action = self.labels.get("action") or self.annotations.get("action")
        return self.is_firing and self.severity == "critical" and action == ROLLBACK


def proves_pipeline(firing: Firing, always_firing: str) -> bool:
    """Whether this is the always-firing alert: only as long as it fires does it prove that the pipeline lives."""
    return firing.is_firing and firing.name == always_firing
