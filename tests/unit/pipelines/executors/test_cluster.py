"""Ray: quiet, gone when it is done, and clear about what it lacks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from corrida.errors import BadInput, ClusterUnreachable, MissingExtra
from corrida.pipelines.executors import open_executor


def test_ray_is_quiet_leaves_no_files_and_ends(functions, tmp_path, monkeypatch, capfd):
    import ray

    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    temporary = {*Path(tempfile.gettempdir()).glob("corrida-ray-*")}
    with open_executor("ray", 2) as executor:
        assert executor.slots == 2
        found = sorted(done.result for done in executor.run(functions.dies_once, [(str(tmp_path), 1)]))
        assert found == [10]
        with open_executor("ray") as second:  # uses the one that is there, and leaves it
            assert [done.result for done in second.run(functions.same, [4])] == [4]
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is before
    assert {*Path(tempfile.gettempdir()).glob("corrida-ray-*")} <= temporary
    assert [path.name for path in tmp_path.iterdir()] == ["died"]
    assert capfd.readouterr() == ("", "")


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"corrida\[ray\]"), open_executor("ray"):
        pass


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_cluster_that_is_not_there_is_said_at_once():
    started = time.monotonic()
    address = f"ray://127.0.0.1:{_free_port()}"
    with pytest.raises(ClusterUnreachable, match=f"nothing answers at {address}"), open_executor(address):
        pass
    assert time.monotonic() - started < 10
    with pytest.raises(BadInput, match="HOST:10001"), open_executor("ray://somewhere"):
        pass


@pytest.mark.slow
def test_a_real_cluster_is_used_and_left_running(functions, tmp_path, capfd):
    server, head = _free_port(), _free_port()
    folder = tempfile.mkdtemp(prefix="rc-")
    arguments = [
        f"--port={head}",
        f"--ray-client-server-port={server}",
        f"--temp-dir={folder}",
        "--num-cpus=2",
    ]
    arguments += ["--include-dashboard=false", "--min-worker-port=0", "--max-worker-port=0"]
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    environment = {**os.environ, **token, "PYTHONPATH": str(Path(functions.__file__).parent)}
    cluster = subprocess.Popen(
        [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    script = (
        "import functions_of_workers as functions\n"
        "from corrida.pipelines.executors import open_executor\n"
        f"with open_executor('ray://127.0.0.1:{server}', 2) as executor:\n"
        f"    tasks = [({str(tmp_path)!r}, i) for i in range(3)]\n"
        "    done = list(executor.run(functions.dies_once, tasks))\n"
        "    print(executor.name, sorted((one.result, one.attempts) for one in done))\n"
    )
    try:
        deadline = time.monotonic() + 150
        said = None
        while time.monotonic() < deadline:
            said = subprocess.run(
                [sys.executable, "-W", "error", "-c", script],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if said.returncode == 0:
                break
            assert "ClusterUnreachable" in said.stderr, said.stderr  # it is not up yet
            time.sleep(0.5)
        assert said.returncode == 0, said.stderr
        assert said.stdout == f"ray://127.0.0.1:{server} [(0, 1), (10, 2), (20, 1)]\n"
        assert said.stderr == ""
        assert cluster.poll() is None
    finally:
        cluster.terminate()
        cluster.communicate(timeout=30)
