"""The figures of `dashboard.presentation` as template filters."""

from django import template

from dashboard import presentation

register = template.Library()

for _figure in (
    presentation.asked_percent,
    presentation.observed_percent,
    presentation.fine_percent,
    presentation.count,
    presentation.milliseconds,
    presentation.measured_seconds,
    presentation.span,
    presentation.age,
    presentation.stamp,
    presentation.clock_time,
    presentation.since,
    presentation.words,
    presentation.json_words,
):
    register.filter(_figure.__name__, _figure)


@register.filter
def region(regions: dict[str, str], name: str) -> str:
    """A region that was rendered before, so that the first page and every frame hold the same text."""
    return regions[name]


@register.filter
def attr(number: float) -> str:
    """A number for an SVG attribute: a dot whatever the language, no exponent, no more digits than a screen shows."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


@register.filter
def figure(counts: dict[str, int], name: str) -> str:
    """How many of a name there are in a summary; what nobody is, is 0."""
    return presentation.count(counts.get(name, 0))
