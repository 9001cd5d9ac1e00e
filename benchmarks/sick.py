"""Ways in which `new` can be sick under a running door, each with what begins it and what ends it."""

import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace

from embedded.stack import Stack

#: a writer with a mistake: whatever a robot says, another status is stored
MISTAKE = """
CREATE FUNCTION benchmark_mistake() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.status := 'benchmark'; RETURN NEW; END$$;
CREATE TRIGGER benchmark_mistake BEFORE INSERT OR UPDATE ON heartbeat_robot
    FOR EACH ROW EXECUTE FUNCTION benchmark_mistake();
"""
MENDED = "DROP TRIGGER benchmark_mistake ON heartbeat_robot; DROP FUNCTION benchmark_mistake();"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: in which phase, and how. What is set up before the phase begins is no fault yet."""

    name: str
    phase: str
    begin: Callable[[Stack], None]
    end: Callable[[Stack], None]
    prepare: Callable[[Stack], None] = lambda stack: None
    #: what the watchdog does about it, and after how many seconds it is missed
    answer: str = "back"
    limit: float = 15.0

    @property
    def words(self) -> str:
        """As the report names it."""
        return f"{self.name} at {self.phase}"


def failing(name: str, phase: str, share: float, *flags: str) -> Fault:
    """A stand-in in ingest's place, well at first, of which a share of the answers then goes wrong."""

    def prepare(stack: Stack) -> None:
        command = [sys.executable, "-m", "simulator.failing", "--port", str(stack.ports["INGEST_PORT"])]
        stack.control.replace("ingest", [*command, "--healthy", "--share", "0", *flags])

    def begin(stack: Stack) -> None:
        request = urllib.request.Request(f"{stack.url('INGEST_PORT')}/_sim/share/{share:g}", method="POST")
        urllib.request.urlopen(request, timeout=5).close()

    return Fault(name, phase, begin, lambda stack: stack.control.start("ingest"), prepare)


def stopped(phase: str) -> Fault:
    """A process that accepts connections and is dead."""
    return Fault(
        "a black hole (SIGSTOP)",
        phase,
        lambda stack: stack.control.signal("ingest", "STOP"),
        lambda stack: stack.control.signal("ingest", "CONT"),
    )


def killed(process: str, phase: str) -> Fault:
    """A process that is gone."""
    return Fault(
        f"{process} killed",
        phase,
        lambda stack: stack.control.kill(process),
        lambda stack: stack.control.start(process),
    )


def wrong_data() -> Fault:
    """What is stored does not follow from what robots said."""
    begin, end = (lambda _: _execute(MISTAKE)), (lambda _: _execute(MENDED))
    return Fault("wrong data", "rollout_50", begin, end, answer="0 %, v2 refused", limit=60.0)


def _execute(statements: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statements)


#: each is back within 5 s
GROSS = (
    failing("500 to everything", "canary_10", 1.0),
    failing("20 % answer 500", "rollout_25", 0.2),
    killed("ingest", "rollout_50"),
    failing("8 % answer 500", "rollout_50", 0.08),
    stopped("rollout_50"),
    failing("nothing is answered", "full_100", 1.0, "--mode", "hang"),
    failing("answers after 2 s", "full_100", 1.0, "--mode", "slow", "--slow-seconds", "2", "--status", "200"),
)
#: `new` says itself that it cannot serve, before 5 % of a window has failed: the door has legacy answer, and the matrix
#: gives `new` 5 min (DESIGN, "service down")
DOWN = replace(killed("postgres", "full_100"), answer="out of rotation, or back,")
#: above 1 %, below 5 %
SMALL = replace(failing("3 % answer 500", "rollout_50", 0.03), answer="a phase back", limit=60.0)
#: not wrong, but slow: rolled back after 5 min
SLOW = replace(
    failing("answers after 0.6 s", "rollout_50", 1.0, "--mode", "slow", "--slow-seconds", "0.6", "--status", "200"),
    answer="alerted",
)
