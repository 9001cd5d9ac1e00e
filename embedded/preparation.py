"""`python -m embedded.preparation`: what must be there before the processes start, in one go.

Some of `manage.py`'s commands in one process: each alone would spend most of its time on importing Django.
Prints the logins alone.
"""

import io
import os
import sys
from pathlib import Path

import django
from django.core.management import CommandError, call_command

from embedded.statedir import enrolment_token_of


def main() -> None:
    """Bring the database up to date, write the first route file, make the demo's logins and its robots' enrolment."""
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    _keep_history()
    call_command("initial_routes")
    call_command("demo_users")
    call_command("demo_contacts")
    call_command("demo_enrolment", enrolment_token_of(Path(os.environ["STATE_DIR"])))


def _keep_history() -> None:
    """Partitions for the days to come; what it says of it is not for the reader of the logins."""
    try:
        call_command("keep_history", stdout=io.StringIO(), stderr=io.StringIO())
    except CommandError as busy:  # a worker on the same database is at it
        print(f"preparation: the history is not kept now, a worker will: {busy}", file=sys.stderr)


if __name__ == "__main__":
    main()
