"""What the commands of this app have in common."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from heartbeat.rules.kind import LEKIWI, XLE
from heartbeat.rules.tags import why_no_tag


def add_robot_options(parser: CommandParser) -> None:
    """What may be said of a robot that is entered."""
    parser.add_argument("--kind", default="", choices=[LEKIWI, XLE])
    parser.add_argument("--site", default="")
    parser.add_argument("--tag", action="append", default=[], dest="tags")


def robot_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was said. Raises CommandError for what is no tag."""
    for tag in options["tags"]:
        if reason := why_no_tag(tag):
            raise CommandError(f"--tag {tag}: {reason}")
    return {name: options[name] for name in ("kind", "site", "tags")}
