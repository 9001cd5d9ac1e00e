"""A gate's evidence as lines: what was judged first, what failed for good told apart."""

from dashboard.evidence import EvidenceLine, evidence_lines


def test_parts_come_first_each_with_its_own_sentence_and_verdict():
    evidence = {"moved": 20, "parts": {"errors": {"verdict": "inconclusive", "sentence": "no traffic yet"}}}

    assert evidence_lines(evidence) == [
        EvidenceLine("Errors", "no traffic yet", "wait"),
        EvidenceLine("Robots that moved", "20"),
    ]


def test_what_failed_before_is_told_only_where_its_part_says_otherwise_now():
    failed = {"errors": "9 errors in 10 requests", "slow": "8 slow in 10"}
    parts = {
        "errors": {"verdict": "pass", "sentence": "9 errors in 99,000 requests"},
        "slow": {"verdict": "fail", "sentence": "80 slow in 100"},
    }

    told = evidence_lines({"parts": parts, "failed": failed})

    assert [line.label for line in told] == ["Errors", "Slow", "Errors, final"]
    assert told[-1] == EvidenceLine("Errors, final", "9 errors in 10 requests", "bad")
