"""The regions of the page of the way forward, rendered once for everybody."""

from django.template.loader import render_to_string
from django.utils.safestring import mark_safe

from dashboard.partials import BAR_REGIONS, Screen, context_of, rendered, signatures
from dashboard.snapshot import Snapshot

#: the regions of this page beside the bar; `way-ramp` comes from `dashboard/migration/_way_ramp.html`
SHARED = ("latch-words", "shift-words", "next-words", "road", "gates", "votes")
OWN = ("way-ramp", "way-orders", "way-shifts", "way-freezes")
VIEW = "migration/way"


def screen(snapshot: Snapshot) -> Screen:
    """Render every shared region of this page."""
    context = context_of(snapshot)
    html = {region: rendered(region, context) for region in (*BAR_REGIONS, *SHARED)}
    for region in OWN:
        template = f"dashboard/migration/_{region.replace('-', '_')}.html"
        html[region] = mark_safe(render_to_string(template, context).strip())
    data = {"worst": snapshot.status["worst"], "signatures": signatures(snapshot.status)}
    return Screen(at=snapshot.at.isoformat(), html=html, data=data)
