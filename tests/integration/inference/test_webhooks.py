"""Webhooks over the real database, to a real server: signed, repeated until taken, and never to where they must not go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from corrida.errors import InvalidConfig
from corrida.inference import webhook_target, webhooks
from corrida.inference.outbox import Outbox
from corrida.inference.retry import Retries
from corrida.inference.views import shown_webhooks
from corrida.inference.webhooks import Webhooks, sign, webhook_secret


class Receiver:
    """A server that takes webhooks; it answers what ``answers`` says, in turn, and then 204.

    An answer is a status, or what is done instead of answering: it is called with the open connection.
    """

    def __init__(self, *answers: int | Callable[[socket.socket], None]) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        waiting = list(answers)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status = waiting.pop(0) if waiting else 204
                if callable(status):
                    with contextlib.suppress(OSError):
                        status(self.connection)
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def receiving(*answers):
    receiver = Receiver(*answers)
    try:
        yield receiver
    finally:
        receiver.close()


def ended(world, job_id, url):
    """Hand a file over with a webhook, and end its analysis."""
    path = world.file(f"{job_id}.up.csv")
    world.service.submit(path, analysis_id=job_id, webhook=url)
    assert Outbox(world.service.database).of(job_id) == []  # nothing is told before the end
    world.service.cancel(job_id)


def send_until(world, job_id, *statuses, attempts=4, servers=1):
    """Send what is due, as so many servers at once, until the webhook has one of the statuses."""
    outbox = Outbox(world.service.database)

    async def story():
        senders = [Webhooks(world.service) for _ in range(servers)]
        for sender in senders:
            sender._policy = Retries(attempts, 0.01, 0.05)
        tasks = [asyncio.create_task(sender.run(0.01)) for sender in senders]
        async with asyncio.timeout(60):
            while outbox.of(job_id)[-1].status not in statuses:  # noqa: ASYNC110 - a process of its own would change it
                await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(story())
    return outbox.of(job_id)[-1]


def test_a_webhook_is_signed_and_repeated_until_it_is_taken(small, corrida):
    small.settings(webhook_allow=["127.0.0.1"])
    with receiving(500, 404) as receiver:
        ended(small, "a1", f"http://localhost:{receiver.port}/hook?key=é".replace("é", "%C3%A9"))
        waiting = shown_webhooks(small.service.database, small.service.jobs.get("a1"))
        assert waiting[0] == {"status": "waiting", "tries": 0, "next": waiting[0]["next"]}
        assert "webhook: waiting, 0 tries; next " in corrida("jobs", "a1").out
        delivery = send_until(small, "a1", "delivered")
    told = {"status": "delivered", "tries": 3, "said": "status 204"}
    assert shown_webhooks(small.service.database, small.service.jobs.get("a1")) == [told]
    assert corrida("jobs", "a1", "--json").json["webhooks"] == [told]
    assert "webhook: delivered, 3 tries, the last: status 204" in corrida("jobs", "a1").out
    assert (delivery.tries, delivery.said) == (3, "status 204")
    assert len(receiver.got) == 3
    secret = webhook_secret(small.service.database)
    for path, headers, body in receiver.got:
        assert path == "/hook?key=%C3%A9"
        assert headers["host"] == f"localhost:{receiver.port}"
        assert headers["webhook-id"] == "a1.1"  # the same each time: the receiver knows a repetition
        timestamp = int(headers["webhook-timestamp"])
        assert headers["webhook-signature"] == sign(secret, "a1.1", timestamp, body)
        said = json.loads(body)
        assert said["type"] == "analysis.cancelled"
        assert said["data"]["id"] == "a1"
        assert said["data"]["error"]["code"] == "cancelled"
        assert str(small.root) not in body.decode()


def test_several_servers_send_each_webhook_once(small):
    small.settings(webhook_allow=["127.0.0.1"])
    with receiving() as receiver:
        for number in range(12):
            ended(small, f"a{number}", f"http://127.0.0.1:{receiver.port}/")
        for number in range(12):
            send_until(small, f"a{number}", "delivered", servers=3)
    assert sorted(headers["webhook-id"] for _, headers, _ in receiver.got) == sorted(
        f"a{n}.1" for n in range(12)
    )


def test_a_receiver_that_never_takes_it_is_given_up(small):
    small.settings(webhook_allow=["127.0.0.1"])
    with receiving(302, 302, 302, 302) as receiver:
        ended(small, "a1", f"http://127.0.0.1:{receiver.port}/")
        delivery = send_until(small, "a1", "given_up", attempts=3)
    assert (delivery.tries, delivery.said) == (3, "status 302")
    assert [path for path, _, _ in receiver.got] == ["/", "/", "/"]  # and where it points to is not followed
    with receiving(410) as gone:
        ended(small, "a2", f"http://127.0.0.1:{gone.port}/")
        assert send_until(small, "a2", "given_up").tries == 1  # it says itself that there is no use


def test_a_name_that_leads_inside_by_now_is_not_connected_to(small, monkeypatch):
    with receiving() as receiver:
        ended(small, "a1", f"http://hooks.example:{receiver.port}/")
        monkeypatch.setattr(webhook_target, "_resolve", lambda host, port: ["127.0.0.1"])
        delivery = send_until(small, "a1", "given_up")
    assert "not public" in delivery.said
    assert receiver.got == []


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(small, monkeypatch):
    """The second answer of a resolver that lies is never asked for."""
    small.settings(webhook_allow=["127.0.0.1"])
    asked = []

    def lies(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with receiving() as receiver:
        ended(small, "a1", f"http://hooks.example:{receiver.port}/")
        monkeypatch.setattr(webhook_target, "_resolve", lies)
        send_until(small, "a1", "delivered")
    assert asked == ["hooks.example"]
    assert receiver.got[0][1]["host"] == f"hooks.example:{receiver.port}"


def test_the_webhook_of_a_server_that_was_killed_is_sent_by_another(small, monkeypatch):
    small.settings(webhook_allow=["127.0.0.1"])
    monkeypatch.setattr("corrida.inference.outbox.LEASE_SECONDS", 0.3)
    with receiving() as receiver:
        ended(small, "a1", f"http://127.0.0.1:{receiver.port}/")
        outbox = Outbox(small.service.database)
        assert outbox.take(outbox.due(1)[0])  # and then it dies
        assert outbox.due(1) == []
        assert send_until(small, "a1", "delivered").tries == 2
    assert len(receiver.got) == 1


def test_an_analysis_that_is_tried_again_is_told_of_again(small):
    small.settings(webhook_allow=["127.0.0.1"])
    with receiving() as receiver:
        ended(small, "a1", f"http://127.0.0.1:{receiver.port}/")
        send_until(small, "a1", "delivered")
        small.service.jobs.retry("a1")
        small.service.cancel("a1")
        send_until(small, "a1", "delivered")
    assert [headers["webhook-id"] for _, headers, _ in receiver.got] == ["a1.1", "a1.2"]


def test_the_secret_is_that_of_the_environment_or_one_that_all_share(small, monkeypatch):
    database = small.service.database
    made = webhook_secret(database)
    assert made.startswith("whsec_")
    assert webhook_secret(database) == made
    monkeypatch.setenv("CORRIDA_WEBHOOK_SECRET", "whsec_" + "QUJD" * 8)
    assert webhook_secret(database) == "whsec_" + "QUJD" * 8
    for unusable in ("secret", "whsec_", "whsec_QUJD", "whsec_é"):
        monkeypatch.setenv("CORRIDA_WEBHOOK_SECRET", unusable)
        with pytest.raises(InvalidConfig, match="CORRIDA_WEBHOOK_SECRET must be"):
            webhook_secret(database)


def test_networks_that_are_none_are_refused(small):
    from corrida.inference.settings import runner_of
    from corrida.project import find_project

    small.settings(webhook_allow=["inside.example"])
    with pytest.raises(InvalidConfig, match=r"webhook_allow: 'inside.example' is no network"):
        runner_of(find_project(small.root))


def begun(world, receiver, *, calls=1):
    """Send until the receiver has been called, then stop as a server does that is told to; return how long that took."""

    async def story():
        sender = Webhooks(world.service)
        task = asyncio.create_task(sender.run(0.01))
        async with asyncio.timeout(30):
            while len(receiver.got) < calls:  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(0.01)
        began = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return time.monotonic() - began

    return asyncio.run(story())


def answers_late(connection):
    time.sleep(0.7)
    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def drips(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Slow: 1\r\n")
        time.sleep(0.05)


def pours(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def pours_headers(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Long: " + b"x" * 60_000 + b"\r\n")


def says_nothing(connection):
    connection.recv(1)  # until the other side hangs up


def test_a_server_that_stops_writes_down_what_came_of_a_webhook_under_way(small):
    small.settings(webhook_allow=["127.0.0.1"])
    with receiving(answers_late) as receiver:
        ended(small, "a1", f"http://127.0.0.1:{receiver.port}/")
        assert begun(small, receiver) < 4
    (delivery,) = Outbox(small.service.database).of("a1")
    assert (delivery.status, delivery.tries) == ("delivered", 1)


def test_a_server_that_stops_gives_back_a_webhook_that_nobody_answers(small, monkeypatch):
    small.settings(webhook_allow=["127.0.0.1"])
    monkeypatch.setattr(webhooks, "GRACE_SECONDS", 0.3)
    with receiving(says_nothing) as receiver:
        ended(small, "a1", f"http://127.0.0.1:{receiver.port}/")
        assert begun(small, receiver) < 4
        (delivery,) = Outbox(small.service.database).of("a1")
        assert (delivery.status, delivery.said) == ("waiting", "the server stopped before the answer")
        assert delivery.due - time.time() < 6  # and not the minute after which it would be taken for dead
        assert send_until(small, "a1", "delivered").tries == 2
    assert [headers["webhook-id"] for _, headers, _ in receiver.got] == ["a1.1"] * 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [(drips, "no answer within 0.5 s"), (says_nothing, "no answer within 0.5 s"), (pours_headers, "no connection")],
)  # fmt: skip
def test_a_receiver_that_never_ends_its_answer_is_left(small, monkeypatch, answer, said):
    small.settings(webhook_allow=["127.0.0.1"])
    monkeypatch.setattr(webhooks, "TRY_SECONDS", 0.5)
    with receiving(answer) as receiver:
        ended(small, "a1", f"http://127.0.0.1:{receiver.port}/")
        began = time.monotonic()
        delivery = send_until(small, "a1", "given_up", attempts=1)
        assert time.monotonic() - began < 5
    assert said in delivery.said


def test_the_body_of_an_answer_is_not_read(small):
    small.settings(webhook_allow=["127.0.0.1"])
    with receiving(pours) as receiver:
        ended(small, "a1", f"http://127.0.0.1:{receiver.port}/")
        assert send_until(small, "a1", "delivered").tries == 1


def test_receivers_and_names_that_are_slow_keep_no_others_waiting(small, monkeypatch):
    small.settings(webhook_allow=["127.0.0.0/8"])
    resolve = webhook_target._resolve
    release = threading.Event()

    def slow(host, port):
        if host == "nobody.example":
            release.wait(60)
        return resolve("127.0.0.1" if host.endswith(".example") else host, port)

    monkeypatch.setattr(webhook_target, "_resolve", slow)
    try:
        with receiving(*[says_nothing] * 40) as receiver, receiving() as other:
            for number in range(20):
                ended(small, f"slow{number}", f"http://slow.example:{receiver.port}/")
                ended(small, f"lost{number}", f"http://nobody.example:{receiver.port}/")
            monkeypatch.setattr(webhooks, "GRACE_SECONDS", 0.1)
            monkeypatch.setattr(webhooks, "IDLE_SECONDS", 60.0)
            monkeypatch.setattr(webhooks, "TRY_SECONDS", 60.0)
            began = time.monotonic()
            ended(small, "quick", f"http://127.0.0.1:{other.port}/")
            assert send_until(small, "quick", "delivered").tries == 1
            assert time.monotonic() - began < 30  # half the time that one try may take
            release.set()
    finally:
        release.set()


def test_a_name_with_an_address_inside_is_refused_whatever_else_it_stands_for(small, monkeypatch):
    with receiving() as receiver:
        for number, addresses in enumerate(
            (["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"])
        ):
            ended(small, f"a{number}", f"http://hooks{number}.example:{receiver.port}/")
            monkeypatch.setattr(webhook_target, "_resolve", lambda host, port, found=addresses: found)
            assert "not public" in send_until(small, f"a{number}", "given_up").said
    assert receiver.got == []


def test_a_redirection_to_this_machine_is_not_followed(small):
    """The receiver is allowed; where it points to would be, too, and still nobody goes there."""
    small.settings(webhook_allow=["127.0.0.1"])
    with receiving() as inside:

        def points(connection):
            connection.sendall(
                f"HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n".encode()
            )

        with receiving(points) as receiver:
            ended(small, "a1", f"http://127.0.0.1:{receiver.port}/")
            assert send_until(small, "a1", "given_up", attempts=1).said == "status 307"
    assert inside.got == []


def test_each_try_is_signed_with_its_own_time(small):
    """A receiver refuses what is older than a few minutes; a try after an hour must not look like a replay."""
    small.settings(webhook_allow=["127.0.0.1"])
    with receiving(500) as receiver:
        ended(small, "a1", f"http://127.0.0.1:{receiver.port}/")
        begun(small, receiver)
        with small.service.database.transaction() as connection:
            connection.exec_driver_sql("UPDATE corrida_deliveries SET due = 0")  # rather than wait for it
        time.sleep(1.1)
        send_until(small, "a1", "delivered")
    first, second = (int(headers["webhook-timestamp"]) for _, headers, _ in receiver.got)
    assert second > first
    assert abs(second - time.time()) < 10


def test_a_second_address_is_tried_where_the_first_does_not_answer(small, monkeypatch):
    small.settings(webhook_allow=["127.0.0.0/8"])
    with receiving() as receiver:
        ended(small, "a1", f"http://hooks.example:{receiver.port}/")
        monkeypatch.setattr(webhook_target, "_resolve", lambda host, port: ["127.0.0.9", "127.0.0.1"])
        assert send_until(small, "a1", "delivered").tries == 2
