"""The regions that differ from person to person: the buttons and forms, by what the person may do."""

from typing import Any

from django.http import HttpRequest

from dashboard.partials import context_of_buttons, signatures
from migration import voting
from migration.actors import role_of
from migration.rules.voting import Role
from migration.status import status

#: region → the permission that its buttons need; its template is `dashboard/_<region>_actions.html`
PERSONAL = {
    "advance": "advance_phase",
    "shift": "advance_phase",
    "latch": "release_latch",
    "vote": "cast_vote",
    "rollback": "roll_back",
    "way": "pause_phase",
}
#: what else a button may need
ALSO = {"shorten": "shorten_phase"}


def template_of(region: str) -> str:
    """The template of a personal region."""
    return f"dashboard/_{region}_actions.html"


def personal_context(request: HttpRequest, state: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the personal regions need: the state as it is now and what this person may do."""
    state = state or status()
    role = role_of(request.user)
    name = request.user.get_username()
    mine = next((vote for vote in state["votes"] if vote["person"] == name and not vote["void"]), None)
    votable = [
        {"value": one.value, "words": one.words, "as_backup": stands_in}
        for one, stands_in in voting.roles_of(request.user)
    ]
    return {
        **context_of_buttons(state),
        "signatures": signatures(state),
        "may": {
            name: request.user.has_perm(f"migration.{codename}") for name, codename in {**PERSONAL, **ALSO}.items()
        },
        "role": role.words if role else "",
        "face": role.label if role else "",
        "votable": votable,
        "my_vote": mine,
        "roles": ", ".join(one.words.lower() if one is not Role.QA else one.words for one in Role),
    }
