"""The inside of `bin/demo`: bring everything up in order, watch it, stop it."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from embedded import surroundings, variables
from embedded.children import die_with_parent
from embedded.console import Console
from embedded.control import ControlServer
from embedded.errors import StartError
from embedded.layout import PORTS, ROOT, Layout, any_ports, check_ports, ports_from
from embedded.livelines import LiveLine
from embedded.locking import lock
from embedded.monitoring import Monitoring
from embedded.options import Options, parse
from embedded.places import runtime_directory
from embedded.postgres import Postgres
from embedded.programs import Programs
from embedded.redis import Redis
from embedded.statedir import (
    enrolment_token_of,
    explain,
    open_state,
    remember_logins,
    remembered_logins,
    reset,
    secret_key,
    write_environment,
)
from embedded.supervisor import Program, Supervisor

#: a week of a phase takes two minutes in the demo, twelve seconds on autopilot
DEMO_TIME_SCALE, AUTOPILOT_TIME_SCALE = "5040", "50400"


class Demo:
    """One run, from nothing to everything and back."""

    def __init__(self, options: Options, state: Path, console: Console) -> None:
        self.options = options
        self.console = console
        with_monitoring = options.with_monitoring
        ports = any_ports() if options.autopilot else ports_from(os.environ, with_monitoring=with_monitoring)
        self.layout = Layout(state, runtime_directory(state), ports, options.robots, options.v2_share)
        self.supervisor = Supervisor(state, console.say)
        self.postgres = Postgres(state / "postgres", self.layout.runtime, archive=self.layout.wal_archive)
        self.redis = Redis(state / "redis", self.layout.runtime)
        defaults = {variable: port for variable, (_, port) in PORTS.items()}
        self.monitoring = Monitoring(state, ports, defaults) if with_monitoring else None
        self.control: ControlServer | None = None
        self.logins: list[str] = []
        #: the database is our own and held data before
        self._same_data = False
        self._began = time.monotonic()

    def clear_the_way(self) -> None:
        """End what a killed runner left, forget the data if asked to, and see that the ports are free."""
        ended = self.supervisor.records.end_leftovers()
        if ended:
            self.console.say(f"Ended what a killed run had left: {', '.join(ended)}")
        if self.options.reset:
            self.postgres.prepare()  # ends a server that still runs there
            reset(self.layout.state, self.postgres.remove)
            shutil.rmtree(self.layout.wal_archive, ignore_errors=True)
            self.console.say(f"Forgot everything in {self.layout.state}")
        check_ports(self.layout.ports)
        if self.monitoring:
            self.monitoring.check_installed()

    async def bring_up(self) -> Programs:
        """Start everything in order and return how; `StartError` names what did not start and why."""
        database_url, redis_url = await self._services()
        scale = AUTOPILOT_TIME_SCALE if self.options.autopilot else DEMO_TIME_SCALE
        more = surroundings.of_the_autopilot() if self.options.autopilot else {}
        if self.monitoring:
            self.monitoring.render()
            more |= self.monitoring.environment()
        env = variables.environment(
            self.layout, secret_key(self.layout.state), database_url, redis_url, scale, more=more
        )
        programs = Programs(self.layout, env)
        needed = variables.COMMANDS_NEED | (variables.COMMANDS_TAKE & env.keys())
        write_environment(self.layout.environment_file, {name: env[name] for name in sorted(needed)})
        told = {name: env[name] for name in sorted(env) if name in _TOLD | variables.COMMANDS_TAKE}
        self.control = ControlServer(self.layout.control_socket, self.supervisor, told)
        await self.control.open()
        await self._prepare(programs)
        await self._together("the doors", [programs.door()])
        await self._together("watchdog, route agent and watchers", programs.guards())
        if self.monitoring:
            await self._together("Prometheus and Alertmanager", programs.monitoring(self.monitoring))
        if self.options.with_fleet:  # last: what it asks for would slow the others' start
            await self._together(f"{self.options.robots} robots", [programs.fleet()])
        self.control.up = True
        return programs

    async def stop(self) -> None:
        """Stop everything, last started first."""
        self.console.live("Stopping …")
        if self.control:
            await self.control.close()
        await self.supervisor.stop_all()
        shutil.rmtree(self.layout.runtime, ignore_errors=True)
        self.console.clear()

    def introduce(self) -> None:
        """Print the addresses and logins."""
        door, own = self.layout.url("ROBOTS_DOOR_PORT"), self.layout.url("OWN_DOOR_PORT")
        fleet = f", {self.options.robots} robots" if self.options.with_fleet else ""
        lines = [
            f"Everything runs after {time.monotonic() - self._began:.1f} s{fleet}.",
            f"  dashboard     {own}/",
            f"  admin         {own}/admin/",
            f"  health        {own}/api/v2/health",
            f"  metrics       {own}/metrics",
            f"  robots' door  {door}/",
            f"  legacy        {self.layout.url('LEGACY_PORT')}/",
            *(f"  {name:<14}{url}/" for name, url in self._monitoring_addresses()),
            f"  data, logs    {self.layout.state}, {self.layout.state / 'log'}",
            f'  commands      . {self.layout.environment_file} && scripts/universal_rollback.sh emergency "why" --yes',
            f"  control       python -m embedded.control --socket {self.layout.control_socket} status",
            "Logins (login, password, role):",
            *(f"  {line}" for line in self.logins),
            "Ctrl-C stops everything.",
        ]
        for line in lines:
            self.console.say(line)

    def _monitoring_addresses(self) -> list[tuple[str, str]]:
        known = {"Prometheus": "PROMETHEUS_PORT", "Alertmanager": "ALERTMANAGER_PORT"} if self.monitoring else {}
        return [(name, self.layout.url(variable)) for name, variable in known.items()]

    async def _services(self) -> tuple[str, str]:
        # The autopilot moves a whole migration through its database: never one that somebody else uses.
        outside = {} if self.options.autopilot else os.environ
        database_url, redis_url = outside.get("DATABASE_URL"), outside.get("REDIS_URL")
        plain = Programs(self.layout, {})
        starting: list[Program] = []
        if not redis_url:
            self.redis.prepare()
            starting.append(plain.redis(self.redis))
        if not database_url:
            self._same_data = (self.postgres.data / "PG_VERSION").exists()
            self.postgres.prepare()
            starting.append(plain.postgres(self.postgres))
        await self._together("PostgreSQL and Redis", starting)
        if not database_url:
            self.postgres.create_database()
        return database_url or self.postgres.url, redis_url or self.redis.url

    async def _prepare(self, programs: Programs) -> None:
        """Migrations, routes and logins, unless this very build did that to this very database before."""
        (self.layout.state / "staticfiles").mkdir(exist_ok=True)
        build = variables.build_of_source()
        needed = (self.layout.envoy_state / "routes" / "routes.json", enrolment_token_of(self.layout.state))
        if self._same_data and all(path.exists() for path in needed):
            self.logins = remembered_logins(self.layout.state, build)
        if self.logins:
            await self._together(
                "both systems, site, live, worker and beat",
                [*programs.beside_preparation(), *programs.on_the_database()],
            )
            return
        self.console.live("Bringing the database up to date, starting legacy, site and live …")
        async with asyncio.TaskGroup() as tasks:
            printed = tasks.create_task(self.supervisor.run(programs.preparation()))
            for program in programs.beside_preparation():
                tasks.create_task(self.supervisor.add(program))
        self.logins = [line for line in printed.result().splitlines() if len(line.split()) == 3]
        await self._together("ingest, worker and beat", programs.on_the_database())
        remember_logins(self.layout.state, build, self.logins)

    async def _together(self, what: str, group: Sequence[Program]) -> None:
        self.console.live(f"Starting {what} …")
        # Not gather: when one fails, the others' starts must have ended before everything is stopped.
        async with asyncio.TaskGroup() as tasks:
            for program in group:
                tasks.create_task(self.supervisor.add(program))


#: what the control socket tells whoever may connect to it: no key
_TOLD = variables.COMMANDS_NEED - {"SECRET_KEY"}


async def _watch(demo: Demo) -> int:
    """Show what happens until we are told to stop."""
    demo.introduce()
    line = LiveLine(demo.layout.ports["ENVOY_ADMIN_PORT"], demo.supervisor, on_terminal=demo.console.on_terminal)
    while True:
        demo.console.live(await line.text())
        await asyncio.sleep(1)


async def _fly(demo: Demo, programs: Programs) -> int:
    """Hand over to the autopilot and return its exit code."""
    demo.console.say(f"Everything runs; the autopilot takes over (dashboard {demo.layout.url('OWN_DOOR_PORT')}/).")
    demo.console.clear()
    command = ["-m", "simulator.autopilot", "--control", str(demo.layout.control_socket)]
    command += ["--ledger", str(demo.layout.ledger), "--v2-share", str(demo.options.v2_share)]
    command += ["--report", str(demo.options.report)] if demo.options.report else []
    command += ["--mild-latency"] if demo.options.mild_latency else []
    pilot = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=ROOT,
        env=programs.env,
        start_new_session=True,
        preexec_fn=die_with_parent(),
    )
    demo.supervisor.records.write("autopilot", pilot.pid)
    try:
        return await pilot.wait()
    finally:
        if pilot.returncode is None:
            pilot.terminate()
            await pilot.wait()
        demo.supervisor.records.forget("autopilot")


async def _run(demo: Demo) -> int:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    told = 0

    def interrupt() -> None:
        nonlocal told
        told += 1
        if told == 1:
            task.cancel()
        else:
            demo.supervisor.kill_all()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt)
    try:
        programs = await demo.bring_up()
        return await (_fly(demo, programs) if demo.options.autopilot else _watch(demo))
    except asyncio.CancelledError:
        # Stopping a demo is how it ends well; stopping the autopilot leaves its claims unproven.
        return 130 if demo.options.autopilot else 0
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
    finally:
        await demo.stop()


def main(arguments: Sequence[str]) -> int:
    """Run the demo and return the exit code."""
    options = parse(arguments)
    console = Console()
    temporary = options.data is None
    code = 1
    try:
        state = options.data or _temporary_state()
        state = open_state(state)
        with lock(state):
            demo = Demo(options, state, console)
            demo.clear_the_way()
            code = asyncio.run(_run(demo))
            if temporary:
                _put_away(demo, code)
    except StartError as error:
        console.clear()
        print(f"demo: {error}", file=sys.stderr)
    except OSError as error:
        console.clear()
        print(f"demo: {explain(error)}", file=sys.stderr)
    except KeyboardInterrupt:  # before anything was started
        console.clear()
        return 130
    return code


def _temporary_state() -> Path:
    state = Path(tempfile.mkdtemp(prefix="lekiwi-autopilot-"))
    state.chmod(0o711)  # ours: PostgreSQL of a root user passes through it as another account
    return state


def _put_away(demo: Demo, code: int) -> None:
    if code == 0:
        demo.postgres.remove()
        shutil.rmtree(demo.layout.state)
    else:
        demo.console.say(f"Its data and logs are kept in {demo.layout.state}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
