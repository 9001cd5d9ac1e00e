"""x."""

EXAMPLES: dict = {}
