"""Why something about operation cannot be done, with the sentence for the operator."""


class CannotStop(Exception):
    """The robot cannot be asked to stop now."""


class NoSuchRobot(Exception):
    """No robot has this id."""
