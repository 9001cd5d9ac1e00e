from datetime import UTC, datetime, timedelta

from migration.rules.sequential import Verdict
from migration.rules.voting import Ballot, Choice, Role, consensus

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
JUDGED = "build-1/canary_10/10"


def ballot(
    role: Role, choice: Choice = Choice.GO, *, comment: str = "", age=timedelta(0), judged: str = JUDGED
) -> Ballot:
    return Ballot(role, role.value, choice, comment, NOW - age, judged)


def go_from(*roles: Role) -> list[Ballot]:
    return [ballot(role) for role in roles]


FOUR = (Role.MIGRATION_LEAD, Role.BACKEND, Role.QA, Role.ON_CALL)


def test_four_go_votes_with_the_lead_among_them_pass():
    assert consensus(go_from(*FOUR), judged=JUDGED, now=NOW).verdict is Verdict.PASS


def test_five_go_votes_without_the_lead_do_not_pass():
    without = [role for role in Role if role is not Role.MIGRATION_LEAD]

    judgement = consensus(go_from(*without), judged=JUDGED, now=NOW)

    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "the migration lead has not said go" in judgement.sentence


def test_a_no_go_from_the_lead_blocks_the_phase():
    others = [ballot(role) for role in Role if role is not Role.MIGRATION_LEAD]
    lead = ballot(Role.MIGRATION_LEAD, Choice.NO_GO, comment="motor faults at site B")

    judgement = consensus([*others, lead], judged=JUDGED, now=NOW)

    assert judgement.verdict is Verdict.FAIL
    assert judgement.sentence == "blocked by the migration lead: motor faults at site B"


def test_an_abstention_is_no_go_vote_and_blocks_nothing():
    ballots = [*go_from(*FOUR[:3]), ballot(Role.ON_CALL, Choice.ABSTAIN)]

    assert consensus(ballots, judged=JUDGED, now=NOW).verdict is Verdict.INCONCLUSIVE


def test_a_vote_older_than_a_day_is_void():
    ballots = [ballot(role, age=timedelta(hours=25)) for role in FOUR]

    assert consensus(ballots, judged=JUDGED, now=NOW).verdict is Verdict.INCONCLUSIVE


def test_votes_for_another_build_are_void():
    ballots = [ballot(role, judged="build-0/canary_10/10") for role in FOUR]

    assert consensus(ballots, judged=JUDGED, now=NOW).verdict is Verdict.INCONCLUSIVE
