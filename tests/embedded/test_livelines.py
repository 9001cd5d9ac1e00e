from dataclasses import replace

from embedded.livelines import rates, read_calls

EXPOSITION = """# TYPE envoy_robots_rq counter
envoy_robots_rq{owner="new",answered="new",mirrored="legacy",code="200"} 30
envoy_robots_rq{owner="new",answered="legacy",mirrored="legacy",code="200"} 10
envoy_robots_rq{owner="legacy",answered="legacy",mirrored="new",code="503"} 2
envoy_robots_rq{owner="",answered="",mirrored="",code="200"} 880
envoy_robots_ms_count{owner="new",answered="new"} 30
"""


def test_the_live_line_counts_who_answered_and_what_failed() -> None:
    calls = read_calls(EXPOSITION)

    assert (calls.all, calls.by_new, calls.failed) == (42, 30, 2)


def test_the_live_line_tells_the_present_rate_and_share() -> None:
    before = read_calls(EXPOSITION)
    now = replace(before, at=before.at + 2, all=before.all + 400, by_new=before.by_new + 100)

    assert rates(before, now) == ["robots call 200/s", "25 % answered by new", "2 failed"]
    assert rates(None, now) == ["2 failed"]
