"""What can go wrong when services start, each with the sentence for the person at the keyboard."""


class StartError(Exception):
    """Something could not be started; its text says what and how to remedy it."""


class PortTaken(StartError):
    """A port that a process needs is taken; the text names the variable that changes it."""


class AlreadyRunning(StartError):
    """Another runner holds this data directory."""


class UnsafeDirectory(StartError):
    """A directory we would put sockets or data into belongs to somebody else."""
