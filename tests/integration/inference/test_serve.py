"""``corrida serve`` as a process: API and worker, real clients, and ends that leave nobody behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx2
import psutil
import pytest
from tests.integration.inference.conftest import kill
from tests.integration.inference.test_webhooks import receiving

from corrida.inference.webhooks import sign, webhook_secret

pytestmark = pytest.mark.slow


class Served:
    """A server as a process."""

    def __init__(self, world, *arguments):
        self.world = world
        self.log = world.root / "serve.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from corrida.cli.main import main; main()", "serve", "--port", "0", *arguments],
                cwd=world.root, stdout=subprocess.PIPE, stderr=out, stdin=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        world.workers.append(self.process)
        line = self.process.stdout.readline()
        assert line.startswith("serving on http://127.0.0.1:"), self.story()
        self.address = line.split()[-1]
        self.port = int(self.address.rpartition(":")[2])
        self.http = httpx2.Client(base_url=self.address, timeout=90, trust_env=False)

    def story(self):
        return self.log.read_text(encoding="utf-8")[-4000:]

    def below(self):
        """The processes that it started, and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self):
        self.http.close()
        self.process.stdout.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def serve(small):
    made = []

    def start(*arguments):
        made.append(Served(small, *arguments))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_a_file_goes_in_and_its_rows_come_out(small, serve):
    small.settings(webhook_allow=["127.0.0.1"], max_bytes=30_000_000)
    with receiving() as receiver:
        served = serve()
        url = f"http://127.0.0.1:{receiver.port}/done"
        answer = served.http.post(
            "/v1/analyses?wait=80",
            files={"file": ("May.csv", b"x,do\n5,\n7,\n")},
            data={"id": "a1", "webhook": url},
        )
        assert answer.status_code == 200, answer.text
        assert [row["distance"] for row in answer.json()["results"]["rows"]] == [3.0, 5.0]
        assert answer.json()["run"] == "one"
        small.until(lambda: receiver.got)
    _, headers, body = receiver.got[0]
    secret = webhook_secret(small.service.database)
    timestamp = int(headers["webhook-timestamp"])
    assert headers["webhook-signature"] == sign(secret, "a1.1", timestamp, body)
    assert served.http.get("/ready").json()["checks"]["worker"] == "ok"
    # A failure is told in a sentence that says nothing of this machine.
    failed = served.http.post("/v1/analyses?wait=80&id=bad", content="x,do\n1,raise\n").json()
    assert failed["status"] == "failed"
    assert failed["error"] == {"code": "internal", "message": failed["error"]["message"]}
    assert "secret" not in str(failed)
    assert str(small.root) not in str(failed)
    # More than what is in memory at once goes through as it comes.
    memory = psutil.Process(served.process.pid).memory_info().rss

    def large():
        yield b"x,do\n"
        for _ in range(28):
            yield (b"5," + b"-" * 97 + b"\n") * 10_000

    answer = served.http.post("/v1/analyses?id=large", content=large())
    assert answer.status_code == 202, answer.text
    assert answer.json()["size"] == 28 * 1_000_000 + 5
    assert psutil.Process(served.process.pid).memory_info().rss - memory < 25_000_000
    assert served.http.delete("/v1/analyses/large").status_code in {200, 409}


def test_broken_and_endless_uploads_leave_nothing_and_stop_nobody(small, serve):
    small.settings(upload_idle=0.5, max_bytes=1_000_000)
    served = serve("--workers", "0")

    def raw(text, *, then=b""):
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
            connection.sendall(text)
            if then:
                connection.sendall(then)
                return connection.recv(4000)
        return b""

    head = b"POST /v1/analyses HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: text/csv\r\n"
    raw(head + b"content-length: 1000\r\n\r\nx\n1\n")  # cut off
    raw(head + b"transfer-encoding: chunked\r\n\r\n4\r\nx\n1\n\r\n")  # cut off between pieces
    assert b" 408 " in raw(head + b"content-length: 1000\r\n\r\n", then=b"x\n1\n")  # stands still
    assert b" 413 " in raw(
        head + b"content-length: 999999999\r\n\r\n", then=b"x\n"
    )  # says itself that it is too large
    assert b" 400 " in raw(
        b"POST /v1/analyses HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: x\r\n\r\n", then=b"x"
    )
    incoming = small.root / "spool" / ".corrida" / "incoming"
    small.until(lambda: not list(incoming.iterdir()))
    assert served.http.get("/v1/analyses").json() == {"analyses": []}
    assert served.process.poll() is None
    assert "Traceback" not in served.story()


def test_two_clients_that_send_the_same_at_once_have_one_analysis(small, serve):
    served = serve()
    answers = []

    def send():
        with httpx2.Client(base_url=served.address, timeout=90, trust_env=False) as http:
            answers.append(http.post("/v1/analyses?id=a1&wait=60", content="x,do\n5,\n"))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["created"] for answer in answers}) == 1
    assert small.charged() == ["a1"]


def test_the_worker_is_started_again_and_everybody_ends_with_the_server(small, serve):
    served = serve("--workers", "1")
    small.until(lambda: '"started"' in served.story())
    first = served.below()
    worker = min(first, key=lambda process: process.create_time())
    worker.kill()
    assert served.http.get("/health").status_code == 200
    answer = served.http.post("/v1/analyses?wait=80", content="x,do\n5,\n")
    assert answer.json()["status"] == "processed", served.story()
    below = served.below()
    assert len(below) == 3  # a worker, a child, and the keeper of this
    kill(served.process)  # not even this leaves anybody behind
    _, alive = psutil.wait_procs(below, timeout=20)
    assert alive == []


def test_sigterm_finishes_what_is_being_scored(small, serve):
    served = serve("--workers", "1")
    go = small.root / "held.go"
    small.service.submit(small.file("held.up.csv", f"1,hold:{go}"), analysis_id="held")
    small.running("held")
    small.until(lambda: '"loaded"' in served.story())
    below = served.below()
    served.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    go.touch()
    assert served.process.wait(60) in {0, -signal.SIGTERM}
    assert small.status("held") == "processed"
    assert [process for process in below if process.is_running()] == []


def test_what_cannot_be_served_is_refused_in_one_sentence(small, corrida):
    assert "no key; `corrida keys add NAME` makes one" in corrida.refuses(
        "serve", "--host", "0.0.0.0", "--port", "0"
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = corrida.refuses("serve", "--port", port, "--workers", "0")
        assert (
            said
            == f"the API cannot listen on 127.0.0.1 port {port}: Address already in use; choose another with --port"
        )
    assert "cannot listen on 203.0.113.9" in corrida.refuses(
        "serve", "--host", "203.0.113.9", "--port", "0", *_with_key(corrida)
    )


def _with_key(corrida):
    said = corrida("keys", "add", "bank")
    assert said.out.startswith("corrida_")
    assert "shown only now" in said.err
    assert "bank" in corrida("keys", "list").out
    assert said.out.strip() not in corrida("keys", "list", "--json").out
    return ()


def test_keys_are_revoked_by_name(small, corrida):
    corrida("keys", "add", "bank", "--per-minute", 5)
    assert corrida("keys", "list", "--json").json[0]["per_minute"] == 5
    assert "opens nothing" in corrida("keys", "revoke", "bank").out
    assert "no key 'bank' that opens" in corrida.refuses("keys", "revoke", "bank")
    assert "already" in corrida.refuses("keys", "add", "bank")
    assert corrida("keys", "webhook-secret").out.startswith("whsec_")
    assert os.listdir(small.root / "spool" / "pending") == []
