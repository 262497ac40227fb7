"""Two machines: a network, process numbers and mounts of their own, and the same host name.

Where namespaces are not allowed (they take root), the machines are processes with folders of their own, and the test that
cuts a cable is left out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.integration.inference.conftest import World, fresh_database, kill
from tests.postgres_server import Server

from corrida.inference.database import executors
from corrida.inference.service import Service
from corrida.inference.settings import runner_of
from corrida.project import find_project

pytestmark = pytest.mark.slow

NAME = "twin"  # of every machine: a name tells nobody apart
RENAME = f"import socket; socket.sethostname({NAME!r})\n"


def do(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Machine:
    """A network namespace at the end of a cable; each process on it has process numbers of its own, too."""

    def __init__(self, number: int) -> None:
        mark = f"{os.getpid() % 100_000}{number}"
        self.namespace = f"corrida{mark}"
        self.here, self.there = f"ch{mark}", f"ct{mark}"
        net = f"198.{18 + number}.{os.getpid() // 64 % 256}"
        low = os.getpid() % 64 * 4
        self.server = f"{net}.{low + 1}"  # how it calls the machine of the tests
        self.real = all(
            do(*command.split())
            for command in (
                f"ip netns add {self.namespace}",
                f"ip link add {self.here} type veth peer name {self.there} netns {self.namespace}",
                f"ip address add {self.server}/30 dev {self.here}",
                f"ip link set {self.here} up",
                f"ip -n {self.namespace} address add {net}.{low + 2}/30 dev {self.there}",
                f"ip -n {self.namespace} link set {self.there} up",
                f"ip -n {self.namespace} link set lo up",
                f"ip netns exec {self.namespace} unshare --pid --uts --fork --kill-child --mount-proc true",
            )
        )

    def within(self, *hidden: os.PathLike[str]) -> list[str]:
        """The command that starts a process here, which does not see the folders that are hidden."""
        if not self.real:
            return []
        cover = "".join(f"mount -t tmpfs none '{os.fspath(folder)}' && " for folder in hidden)
        return [
            "ip", "netns", "exec", self.namespace,
            "unshare", "--pid", "--uts", "--mount", "--fork", "--kill-child", "--mount-proc",
            "sh", "-c", cover + 'exec "$@"', "sh",
        ]  # fmt: skip

    def cable(self, state: str) -> None:
        assert do("ip", "-n", self.namespace, "link", "set", self.there, state)

    def end(self) -> None:
        do("ip", "link", "delete", self.here)
        do("ip", "netns", "delete", self.namespace)


@pytest.fixture
def machines(record_property) -> Iterator[tuple[Machine, Machine]]:
    made = Machine(0), Machine(1)
    real = all(machine.real for machine in made)
    for machine in made:
        machine.real = real
    record_property("machines", "namespaces" if real else "processes")
    yield made
    for machine in made:
        machine.end()


@pytest.fixture(scope="module")
def open_server() -> Iterator[Server]:
    """A server that other machines reach."""
    started = Server(everywhere=True)
    yield started
    started.stop()


class Pair:
    """A world with workers on two machines."""

    def __init__(self, world: World, machines: tuple[Machine, Machine]) -> None:
        self.world, self.machines = world, machines
        self.isolated = machines[0].real

    def worker(self, number: int, *arguments: str, hidden=()) -> subprocess.Popen[bytes]:
        machine, world = self.machines[number], self.world
        if world.address and machine.real:
            arguments += ("--database", world.address.replace("127.0.0.1", machine.server))
        started = world.worker(
            *arguments, script=RENAME if machine.real else None, within=machine.within(*hidden)
        )
        world.started(started)
        return started

    def said(self, worker, event):
        return [line for line in self.world.log_of(worker) if line["event"] == event]

    def gone(self, worker) -> None:
        """The machine has lost its power: everything on it is dead."""
        kill(worker)


@pytest.fixture(params=["sqlite", "postgresql"])
def pair(request, project, corrida, monkeypatch, machines) -> Iterator[Pair]:
    address = ""
    if request.param == "postgresql":
        address = fresh_database(request.getfixturevalue("open_server"), monkeypatch)
    world = World(project, address, corrida)
    yield Pair(world, machines)
    world.end()


@pytest.fixture
def wired(project, corrida, monkeypatch, machines, open_server) -> Iterator[Pair]:
    world = World(project, fresh_database(open_server, monkeypatch), corrida)
    yield Pair(world, machines)
    world.end()


def test_a_machine_that_goes_is_told_from_one_that_lives_with_the_same_name_and_process_number(pair):
    """They share the spool folder. (SQLite: two containers of one machine.)"""
    world = pair.world
    world.held("long")
    first = pair.worker(0, "--slots", "1")
    world.running("long")
    second = pair.worker(1, "--slots", "1")
    with world.service.database.reading() as connection:
        known = connection.execute(sa.select(executors.c.host, executors.c.pid)).all()
    assert len(known) == 2
    if pair.isolated:
        assert {tuple(row) for row in known} == {(NAME, 1)}
    time.sleep(2.5)  # the others are asked after every second
    assert world.service.jobs.get("long").claims == 1
    assert not pair.said(second, "took over")
    pair.gone(first)
    began = time.monotonic()
    world.until(lambda: pair.said(second, "claimed"), 20)
    assert time.monotonic() - began < 15
    assert pair.said(second, "took over")[0]["analysis"] == "long"
    world.release("long")
    assert world.ended("long") == ["processed"]
    assert world.service.jobs.get("long").claims == 2
    world.until(lambda: world.charged() == ["long"])
    pair.gone(second)
    world.until(lambda: not world.processes(), 20)


AHEAD = "import time\nreal = time.time\ntime.time = lambda: real() + 86_400\n"
OFTEN = "import corrida.inference.worker as w\nw.LOST_SECONDS = 0.5\n"


def test_a_clock_that_is_a_day_ahead_keeps_no_file_waiting_and_nobody_from_being_taken_over(pair):
    world = pair.world
    world.settings(retry_seconds=20, retry_most_seconds=20)
    marker = world.root / "marker"
    world.submit("again", f"1,until:{marker}")
    wrong = world.worker("--slots", "1", script=AHEAD)
    world.until(lambda: world.service.jobs.get("again").tries)
    world.held("long")
    world.until(lambda: [line for line in pair.said(wrong, "claimed") if line["analysis"] == "long"])
    kill(wrong)  # a job waits until tomorrow, and another is being scored
    marker.touch()
    world.release("long")
    world.settings()
    world.worker(script=OFTEN)
    assert world.ended("again", "long", seconds=60) == ["processed"] * 2
    world.until(lambda: world.charged() == ["again", "long"])


def test_machines_that_do_not_see_each_others_spool_work_at_their_own_files_only(wired):
    world = wired.world
    world.service  # noqa: B018 - lays out
    spools = [world.root / "spool", world.root / "there"]
    there = Service(runner_of(find_project(world.root), spool=str(spools[1])))
    dead = wired.worker(1, "--slots", "1", "--spool", str(spools[1]), hidden=spools[:1])
    go = world.root / "x.go"
    there.submit(world.file("up.csv", f"1,hold:{go}"), analysis_id="begun-there")
    there.submit(world.file("up2.csv", "2,"), analysis_id="waits-there")
    world.running("begun-there")
    wired.gone(dead)
    go.touch()
    here = wired.worker(0, hidden=spools[1:])
    world.submit("of-here", "1,")
    assert world.ended("of-here") == ["processed"]
    world.until(lambda: not there.queue.executing(there.jobs.get("begun-there").executor))
    time.sleep(1)
    # The worker here has given the work back, and has left it to those who see its file.
    assert [world.status(name) for name in ("begun-there", "waits-there")] == ["running", "queued"]
    assert [line["analysis"] for line in wired.said(here, "claimed")] == ["of-here"]
    wired.worker(1, "--spool", str(spools[1]), hidden=spools[:1])
    assert world.ended("begun-there", "waits-there") == ["processed"] * 2
    assert sorted(p.name for p in (spools[1] / "processed").glob("*.json")) == [
        "begun-there.json",
        "waits-there.json",
    ]
    assert world.names("processed") == ["of-here.csv", "of-here.json", "of-here.parquet"]
    world.until(lambda: world.charged() == ["begun-there", "of-here", "waits-there"])
    wired.gone(here)
    there.close()


@pytest.mark.namespaces
def test_the_work_of_a_machine_whose_cable_is_cut_is_taken_over_and_it_decides_nothing_afterwards(wired):
    """No connection is closed: neither side hears of the other until it asks."""
    world = wired.world
    names = [world.held(f"long{number}") for number in range(2)]
    first = wired.worker(0, "--slots", "2")
    world.until(lambda: len(wired.said(first, "claimed")) == 2)
    second = wired.worker(1, "--slots", "2")
    wired.machines[0].cable("down")
    began = time.monotonic()
    world.until(lambda: len(wired.said(second, "claimed")) == 2, 40)
    assert time.monotonic() - began < 30  # a server waits for two hours when nobody tells it not to
    world.release(*names)
    assert world.ended(*names) == ["processed"] * 2
    winners = {name: world.service.jobs.get(name).executor for name in names}
    wired.machines[0].cable("up")
    # The first has results of its own by now, finds that they do not count, and begins anew under another id.
    world.until(lambda: len(wired.said(first, "started")) == 2, 60)
    assert first.poll() is None
    wired.gone(second)
    after = world.submit("after", "1,")
    assert world.ended(after) == ["processed"]
    world.until(lambda: world.charged() == sorted([*names, after]))
    for name in names:
        job = world.service.jobs.get(name)
        assert (job.claims, job.executor) == (2, winners[name])
        endings = [
            e.event for e in world.service.jobs.events(name) if e.event in {"settled", "processed", "charged"}
        ]
        assert endings == ["settled", "processed", "charged"]
    first.send_signal(signal.SIGKILL)
    world.until(lambda: not world.processes(), 20)
