import pytest

from migration.errors import NotAVoter, Refused
from migration.models import AuditEntry, Vote
from migration.rules.voting import Role
from migration.voting import cast
from tests.builders import person, phase_run

pytestmark = pytest.mark.django_db


def test_a_vote_is_stored_with_what_it_judged_and_audited():
    run = phase_run()

    vote = cast(person(Role.QA), "go", "all robots fine")

    assert (vote.run, vote.role, vote.judged) == (run, "qa", run.judged)
    assert AuditEntry.objects.get().sentence == "voted go on leaving Canary 10 %"


def test_a_vote_can_be_changed_until_the_decision():
    phase_run()
    qa = person(Role.QA)
    cast(qa, "go")

    cast(qa, "no_go", "motor faults")

    assert [vote.choice for vote in Vote.objects.all()] == ["no_go"]


def test_a_viewer_has_no_vote():
    phase_run()

    with pytest.raises(NotAVoter, match="viewer is in none of the six roles"):
        cast(person(role=None), "go")


def test_two_people_of_one_role_do_not_vote_twice():
    phase_run()
    cast(person(Role.QA, "anna"), "go")

    with pytest.raises(Refused, match="anna already voted as QA"):
        cast(person(Role.QA, "bert"), "go")


def test_an_unknown_choice_is_refused_and_nothing_is_stored():
    phase_run()

    with pytest.raises(Refused, match="'maybe' is none of go, no_go, abstain"):
        cast(person(), "maybe")
    assert not Vote.objects.exists()
