#!/usr/bin/env python
"""Django's command line for the Lekiwi Heartbeat control plane."""

import os
import sys


def main() -> None:
    """Run one management command."""
    if "universal_rollback" in sys.argv[1:2]:
        from migration import first_move

        first_move.make(sys.argv[1:])  # an emergency does not wait for Django
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
