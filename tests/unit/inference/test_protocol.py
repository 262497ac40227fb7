"""What a worker and its child say to each other arrives whole, and silence is noticed in time."""

from __future__ import annotations

import os
import threading
import time

import pytest

from corrida.inference.problems import Problem
from corrida.inference.protocol import (
    Load,
    Loaded,
    Progress,
    Replies,
    Scored,
    Trouble,
    read_request,
    send,
)


@pytest.fixture
def pipe():
    read, write = os.pipe()
    open_ends = {read, write}
    yield read, write, open_ends
    for fd in open_ends:
        os.close(fd)


def test_replies_arrive_in_order_however_they_are_cut(pipe):
    read, write, _ = pipe
    big = Scored(rows=1, scored=1, report={"text": "ñ" * 200_000}, sha256="s", seconds=1.5)
    sent = [Loaded(0.5), Progress(10), Trouble(Problem(code="x", message="y", may_pass=True)), big]
    thread = threading.Thread(target=lambda: [send(write, message) for message in sent])
    thread.start()
    replies = Replies(read)
    assert [replies.next(5) for _ in sent] == sent
    thread.join()


def test_silence_is_noticed_in_time_also_in_the_middle_of_a_message(pipe):
    read, write, _ = pipe
    os.write(write, b"\x00\x00\x00\x09half")
    began = time.monotonic()
    assert Replies(read).next(0.1) is None
    assert time.monotonic() - began < 2


def test_the_end_of_the_child_is_an_error_and_that_of_the_worker_an_end(pipe):
    read, write, open_ends = pipe
    os.close(write)
    open_ends.discard(write)
    with pytest.raises(EOFError):
        Replies(read).next(1)
    assert read_request(read) is None


def test_requests_arrive_whole(pipe):
    read, write, _ = pipe
    request = Load(run_id="r", digest="d", pipeline="risk", uses="risk", folder="/a/é", root="/b")
    send(write, request)
    assert read_request(read) == request
