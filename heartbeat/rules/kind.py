"""What kind a robot is: what it says itself, then its name, then its group (LEGACY.md, "Two kinds of robot")."""

LEKIWI = "lekiwi"
XLE = "xle"
UNKNOWN = "unknown"


def kind_from_word(word: str) -> str:
    """The kind that a type, a name or a group tells, or "" when it tells none.

    Legacy spells XLE robots `xle` or `xlerobot`, in any case, alone or inside a hostname.
    """
    word = word.lower()
    if XLE in word:
        return XLE
    return LEKIWI if LEKIWI in word else ""


def kind_of(*evidence: str) -> str:
    """The kind by the first piece of evidence that tells one: what was reported, the id or hostname, the group."""
    for word in evidence:
        if kind := kind_from_word(word):
            return kind
    return UNKNOWN
