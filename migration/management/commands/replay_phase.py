"""`manage.py replay_phase RUN [--set error_rate=0.5%] …`: what other thresholds would have done in a stored phase."""

import json
from typing import Any

from django.core.management.base import CommandParser

from migration.reporting.replaying import NothingStored, Replay, replay
from migration.rules.replaying import BadThreshold, Firing, Gate, threshold
from migration.runbook import RunbookCommand, not_done, wrong


class Command(RunbookCommand):
    help = "Decide a stored phase again from its evidence, under other thresholds. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int, help="the phase run, as migration_report numbers it")
        parser.add_argument("--set", action="append", default=[], metavar="THRESHOLD=VALUE", help="error_rate=0.5%%")
        parser.add_argument("--json", action="store_true", help="for scripts")

    def handle(self, *args: Any, run: int, **options: Any) -> None:
        values = {}
        for given in options["set"]:
            word, equals, text = given.partition("=")
            if not equals:
                raise wrong(f"{given!r} sets nothing: write THRESHOLD=VALUE, such as error_rate=0.5%")
            try:
                values[word] = threshold(word, text)
            except BadThreshold as error:
                raise wrong(str(error)) from error
        try:
            done = replay(run, values)
        except NothingStored as error:
            raise not_done(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(done.as_json(), indent=1, ensure_ascii=False))
        else:
            self._tell(done)

    def _tell(self, done: Replay) -> None:
        run = done.run
        ended = f"rolled back after {done.rolled_back_at:.0f} s" if done.rolled_back_at is not None else run.state
        self.stdout.write(f"Run {run.pk}, {run.phase.name}: {ended}. {done.samples:,} samples.")
        if done.as_json()["is_thinned"]:
            self.stdout.write(
                f"Its samples were thinned out, up to {done.coarsest_seconds:.0f} s apart: a short fault may be missed."
            )
        for name, found in (("of then", done.stored), ("as set", done.other)):
            self.stdout.write(f"Rules {name}: {'; '.join(map(_fired, found)) or 'would not have fired'}")
        for name, gate in (("of then", done.gate_stored), ("as set", done.gate_other)):
            self.stdout.write(f"Performance gate {name}: {_judged(gate)}")
        self.stdout.write(f"{done.sentence[:1].upper()}{done.sentence[1:]}.")


def _fired(firing: Firing) -> str:
    return f"after {firing.at:.0f} s ({firing.rule}: {firing.sentence})"


def _judged(gate: Gate) -> str:
    when = f" after {gate.at:.0f} s" if gate.at is not None else ""
    return f"{gate.verdict}{when}: {gate.sentence}"
