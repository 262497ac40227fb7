"""Messages to an MLflow that may be away."""

from __future__ import annotations

import threading
import time

from corrida.bridges.mlflow.outbox import Outbox


def test_messages_are_sent_in_their_order_by_another_thread() -> None:
    box, seen = Outbox(), []
    for number in range(200):
        box.put(str(number), lambda number=number: seen.append((number, threading.current_thread().name)))
    assert box.finish(10) == []
    assert [number for number, _ in seen] == list(range(200))
    assert {name for _, name in seen} == {"corrida-mlflow"}
    assert (box.sent, box.declined) == (200, [])


def test_what_fails_for_a_time_is_tried_again_and_the_others_wait() -> None:
    box, seen, tries = Outbox(), [], []

    def away() -> None:
        tries.append(time.monotonic())
        if len(tries) < 3:
            raise ConnectionError("connection refused")
        seen.append("first")

    box.put("first", away)
    box.put("second", lambda: seen.append("second"))
    assert box.finish(20) == []
    assert seen == ["first", "second"]
    assert len(tries) == 3


def test_what_is_declined_is_kept_and_the_others_go_on() -> None:
    box, seen = Outbox(), []

    def declined() -> None:
        raise ValueError("the parameter is too long")

    box.put("parameters of ridge", declined)
    box.put("metrics", lambda: seen.append(1))
    assert box.finish(10) == []
    assert box.declined == ["parameters of ridge: the parameter is too long"]
    assert seen == [1]


def test_the_end_does_not_wait_for_ever() -> None:
    box = Outbox()

    def away() -> None:
        raise ConnectionError("connection refused")

    for number in range(3):
        box.put(f"message {number}", away)
    started = time.monotonic()
    assert box.finish(0.4) == ["message 0", "message 1", "message 2"]
    assert time.monotonic() - started < 3
    assert box.away == "nobody answers there; see whether the server runs and the address is right"


def test_putting_never_waits() -> None:
    box, go = Outbox(), threading.Event()
    box.put("slow", lambda: go.wait(10) and None)
    started = time.monotonic()
    for _ in range(1000):
        box.put("quick", lambda: None)
    assert time.monotonic() - started < 1
    go.set()
    assert box.finish(10) == []
    assert box.sent == 1001
