"""Connections that keep a place for nothing: they end, and whoever sits on one is told why."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
import uvicorn

from corrida.inference import connection
from corrida.inference.connection import Connection, most_connections

GET = b"GET / HTTP/1.1\r\nhost: x\r\n"


async def app(scope, receive, send):
    """Answers at once, without a look at the body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.4)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=Connection, ws="none", log_config=None, lifespan="off", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def opened(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def answered(connected) -> bool:
    got = b""
    while not got.endswith(b"ok") and (piece := connected.recv(4096)):
        got += piece
    return got.startswith(b"HTTP/1.1 200 OK")


def cut_off(connected) -> bool:
    began = time.monotonic()
    while time.monotonic() - began < 8:
        try:
            connected.sendall(b"x" * 1000)
        except OSError:
            return True
        time.sleep(0.01)
    return False


def rest(connected) -> bytes:
    got = b""
    try:
        while piece := connected.recv(4096):
            got += piece
    except ConnectionResetError:
        pass
    return got


@pytest.mark.parametrize("begun", [b"", b"G", GET, GET + b"x: " + b"a" * 1000])
def test_a_head_that_does_not_come_is_not_awaited(port, begun):
    with opened(port) as connected:
        connected.sendall(begun)
        began = time.monotonic()
        head, _, body = rest(connected).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["error"]["code"] == "too_slow"
    assert time.monotonic() - began < 5


def test_a_byte_now_and_then_gives_no_more_time(port):
    with opened(port) as connected:
        connected.sendall(GET)
        for _ in range(6):
            time.sleep(0.1)
            try:
                connected.sendall(b"x")
            except OSError:
                break
        assert b" 408 " in rest(connected)


def test_the_second_request_has_its_own_time_and_a_pause_between_two_is_none_of_it(port):
    with opened(port) as connected:
        for _ in range(2):
            connected.sendall(GET + b"\r\n")
            assert answered(connected)
            time.sleep(0.6)  # longer than a head may take
        connected.sendall(GET)
        assert b" 408 " in rest(connected)


def test_what_comes_after_an_early_answer_is_not_taken_for_ever(port):
    with opened(port) as connected:
        connected.sendall(GET + b"content-length: 1000000000\r\n\r\n")
        assert answered(connected)
        assert cut_off(connected)
    with opened(port) as connected:  # one that ends in time stays open
        connected.sendall(GET + b"content-length: 4\r\n\r\n")
        assert answered(connected)
        connected.sendall(b"1234" + GET + b"\r\n")
        assert answered(connected)


@pytest.mark.parametrize("text", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", GET + b"a\0: b\r\n\r\n"])  # fmt: skip
def test_what_is_no_http_gets_the_answer_that_all_errors_get(port, text):
    with opened(port) as connected:
        connected.sendall(text)
        head, _, body = rest(connected).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"connection: close" in head
    assert json.loads(body)["error"]["message"] == "the request cannot be read"


def test_only_so_many_are_open_at_once(port, monkeypatch):
    monkeypatch.setattr(connection, "_MOST", 3)
    with opened(port) as first, opened(port) as second, opened(port) as third:
        for one in (first, second, third):
            one.sendall(GET + b"\r\n")
            assert answered(one)
        with opened(port) as one_more:
            assert rest(one_more) == b""
    time.sleep(0.1)
    with opened(port) as again:
        again.sendall(GET + b"\r\n")
        assert answered(again)


def test_descriptors_are_left_for_the_work(monkeypatch):
    for soft, most in ((1024, 512), (100, 50), (8, 10), (10**6, 1000), (-1, 1000)):
        monkeypatch.setattr("resource.getrlimit", lambda _, soft=soft: (soft, soft))
        assert most_connections() == most
