"""Every setting of a phase as a form's field: its name, its unit, and the text that people read and type."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from migration.rules.settings import MOMENTS
from migration.rules.voting import Role

_UNITS = {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|d)?", re.ASCII)
_ROLES = [(role.value, role.words) for role in Role]


def _exactly(value: float) -> str:
    """A number that reads back as the same one, so that what nobody touched is not taken for a change."""
    return repr(value).removesuffix(".0") if abs(value) < 1e15 else f"{value:.0f}"


class Seconds(forms.CharField):
    """A duration: `7 d`, `30 min`, `90` (seconds)."""

    def prepare_value(self, value: Any) -> Any:
        """The largest whole unit; what somebody typed stays as it is."""
        if isinstance(value, str) or value is None:
            return value
        unit = next(name for name in ("d", "h", "min", "s") if name == "s" or (value and value % _UNITS[name] == 0))
        return f"{_exactly(value / _UNITS[unit])} {unit}"

    def to_python(self, value: Any) -> Any:
        """Seconds, None for nothing."""
        text = super().to_python(value)
        if not text:
            return None
        found = _DURATION.fullmatch(text)
        if found is None:
            raise ValidationError("write it as 30 s, 10 min, 2 h or 7 d")
        return float(found[1]) * _UNITS[found[2] or "s"]


class Number(forms.FloatField):
    """A number without a trailing `.0`."""

    widget = forms.TextInput(attrs={"inputmode": "decimal"})
    default_error_messages = {"invalid": "is no number"}

    def prepare_value(self, value: Any) -> Any:
        """As people write it."""
        return _exactly(value) if isinstance(value, float) else value


class Whole(forms.IntegerField):
    """A whole number."""

    widget = forms.TextInput(attrs={"inputmode": "numeric"})
    default_error_messages = {"invalid": "is no whole number"}


class Listed(forms.CharField):
    """Words separated by commas."""

    def prepare_value(self, value: Any) -> Any:
        """Joined by commas."""
        return value if isinstance(value, str) or value is None else ", ".join(str(one) for one in value)

    def to_python(self, value: Any) -> Any:
        """A list, empty for nothing."""
        return [word for word in (word.strip() for word in (super().to_python(value) or "").split(",")) if word]


class Percents(Listed):
    """Whole percents separated by commas."""

    def to_python(self, value: Any) -> Any:
        """A list of whole numbers."""
        words = super().to_python(value)
        for word in words:
            if not word.isascii() or not word.isdecimal():
                raise ValidationError(f"{word!r} is no whole percent")
        return [int(word) for word in words]


class Hooks(forms.CharField):
    """External checks, one a line: `name | address | before, during | 3`."""

    widget = forms.Textarea(attrs={"rows": "3", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """A line for each."""
        if isinstance(value, str) or value is None:
            return value
        return "\n".join(
            f"{one['name']} | {one['url']} | {', '.join(one['when'])} | {_exactly(one['timeout_seconds'])}"
            for one in value
        )

    def to_python(self, value: Any) -> Any:
        """A list of mappings, as the settings keep them."""
        lines = [line for line in (super().to_python(value) or "").splitlines() if line.strip()]
        return [self._hook(line) for line in lines]

    def _hook(self, line: str) -> dict[str, Any]:
        name, url, *more = [part.strip() for part in line.split("|")]
        when, seconds = (*more, "", "")[:2] if len(more) <= 2 else ("", "x")
        try:
            timeout = float(seconds or 3)
        except ValueError:
            raise ValidationError(f"{line!r}: write name | address | {', '.join(MOMENTS)} | seconds") from None
        moments = [moment.strip() for moment in (when or "before").split(",")]
        return {"name": name, "url": url, "when": moments, "timeout_seconds": timeout}


def _flag(**more: Any) -> forms.Field:
    return forms.TypedChoiceField(
        choices=[("True", "yes"), ("False", "no")], coerce=lambda text: text == "True", **more
    )


def _role(**more: Any) -> forms.Field:
    return forms.ChoiceField(choices=_ROLES, **more)


def _roles(**more: Any) -> forms.Field:
    return forms.MultipleChoiceField(choices=_ROLES, widget=forms.CheckboxSelectMultiple, **more)


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is called, and what sort of field it is."""

    label: str
    field: Any
    unit: str = ""
    said: str = ""


#: in the order in which they are shown; the names are those of `migration.rules.settings.PhaseSettings`
SETTINGS: Mapping[str, Setting] = {
    "duration_seconds": Setting("Duration", Seconds, "time", "before the next step; the time scale shortens it"),
    "ramp": Setting("Ramp", Percents, "%", "on the way in, such as 15, 20; empty: one step"),
    "cohorts": Setting("Cohorts first", Listed, "", "kind=xle, site=A; they go over by name before the percents"),
    "bake_seconds": Setting("Bake time", Seconds, "time", "between two steps; the time scale shortens it"),
    "quorum": Setting("Quorum", Whole, "go votes", "of six"),
    "must_include": Setting("Among the go votes", _role),
    "vetoes": Setting("Whose no-go blocks", _roles),
    "vote_lives_seconds": Setting("A vote lives", Seconds, "time", "real time"),
    "needs_two_people": Setting("Entering takes two people", _flag),
    "needs_watch": Setting("Somebody must be on watch", _flag, "", "with a page in front of them"),
    "error_limit_percent": Setting("Errors below", Number, "%", "of what new answered"),
    "slow_limit_percent": Setting("Slower than 100 ms below", Number, "%", "of what new answered"),
    "slower_than_legacy_ms": Setting("Slower than legacy's p99 by at most", Number, "ms"),
    "mirror_limit_percent": Setting("Mirror complete to at least", Number, "%"),
    "lag_forward_limit_seconds": Setting("Sync lag legacy → new at most", Seconds, "time", "real time"),
    "lag_reverse_limit_seconds": Setting("Sync lag new → legacy at most", Seconds, "time", "real time"),
    "stability_seconds": Setting("No critical alert for", Seconds, "time", "the time scale shortens it"),
    "cpu_limit_percent": Setting("CPU below", Number, "%"),
    "memory_limit_percent": Setting("Memory below", Number, "%"),
    "connections_limit_percent": Setting("Database connections below", Number, "%"),
    "warm_legacy_seconds": Setting("Legacy kept warm for", Seconds, "time", "decommission; the time scale shortens it"),
    "hooks": Setting("External checks", Hooks, "", f"one a line: name | address | {', '.join(MOMENTS)} | seconds"),
}


def field_of(name: str) -> forms.Field:
    """The form's field of one setting; what is left empty goes back to its default."""
    setting = SETTINGS[name]
    told: forms.Field = setting.field(label=setting.label, required=False)
    return told


def words_of(name: str, value: Any) -> str:
    """A value as people read it, with its unit."""
    setting = SETTINGS[name]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if setting.field in (_role, _roles):
        roles = [value] if isinstance(value, str) else value
        return ", ".join(Role(role).words for role in roles) or "nobody's"
    text = field_of(name).prepare_value(value)
    unit = "" if setting.unit in ("time", "") else f"\u00a0{setting.unit}"
    return f"{text}{unit}" if str(text) else "none"
