"""Who runs a command here. Standard library only: an emergency asks before Django is loaded."""

import getpass
import os


def on_this_host() -> str:
    """The name of whoever runs a command here, for the audit log; containers may have no name for the user id."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return f"command ({name})"
