"""`python -m embedded.preparation`: what must be there before the processes start, in one go.

Three of `manage.py`'s commands in one process: each alone would spend most of its time on importing Django.
Prints what they print.
"""

import django
from django.core.management import call_command


def main() -> None:
    """Bring the database up to date, write the first route file, make the demo's logins."""
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("initial_routes")
    call_command("demo_users")


if __name__ == "__main__":
    main()
