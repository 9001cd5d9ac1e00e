import pytest

from heartbeat.rules.kind import kind_of


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        (("xle", "Lekiwi_5A3F", "all"), "xle"),
        (("XLErobot", "", ""), "xle"),
        (("", "Lekiwi_B827EB5A", "xle"), "lekiwi"),
        (("misspelt", "XLEROBOT-7", ""), "xle"),
        (("", "b827eb5a", "xle"), "xle"),
        (("", "b827eb5a", "lekiwi-field"), "lekiwi"),
        (("", "b827eb5a", "all"), "unknown"),
        ((), "unknown"),
    ],
)
def test_the_first_evidence_that_tells_a_kind_decides(evidence: tuple[str, ...], kind: str) -> None:
    assert kind_of(*evidence) == kind
