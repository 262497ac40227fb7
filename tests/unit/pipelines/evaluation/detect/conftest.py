"""A server that speaks the protocol of OpenAI-compatible endpoints, and a small classroom to ask it about."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import polars as pl
import pytest

from corrida.pipelines.evaluation.detect import Request
from corrida.pipelines.evaluation.detect.settings import DetectorSettings, make_detector
from corrida.pipelines.evaluation.taxonomy import Label, Taxonomy
from corrida.pipelines.evaluation.truth import Truth

LABELS = [
    Label("L1", "off by one", "the loop runs once too often", "loops"),
    Label("L2", "assignment as comparison", "one equals sign where two belong", "syntax"),
    Label("L3", "copied list", "b = a does not copy a list", "lists"),
]


class Reply:
    """What the server sends back."""

    def __init__(self, body=b"", status=200, headers=None, delay=0.0, drop=False):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers = status, {"Content-Type": "application/json"} | (headers or {})
        self.delay, self.drop = delay, drop


def chat(text, *, prompt=100, completion=20, finish="stop", usage=True, **message):
    """Return a chat completion that says ``text``."""
    body = {
        "id": "c1",
        "object": "chat.completion",
        "model": "served-model-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, **message},
            }
        ],
    }
    if usage:
        body["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
    return Reply(body)


def found(*names, **more):
    """Return a chat completion with findings."""
    return chat(json.dumps({"detections": [{"name": name, "confidence": 0.5, **more} for name in names]}))


class Server:
    """Listens on a free port of this machine; ``answer(body, number)`` decides what it says."""

    def __init__(self, port=0):
        self.answer = lambda _body, _number: found("off by one")
        self.requests, self.times, self.headers, self.paths = [], [], [], []
        self.now = self.most = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.handle(self)

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a client that was killed or has run out of patience hangs up

        self._http = Quiet(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self):
        return self._http.server_address[1]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def handle(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            number = len(self.requests)
            self.requests.append(body)
            self.times.append(time.monotonic())
            self.headers.append(dict(handler.headers))
            self.paths.append(handler.path)
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            reply = self.answer(body, number)
            time.sleep(reply.delay)
        finally:
            with self._lock:
                self.now -= 1
        if reply.drop:
            handler.close_connection = True
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(reply.body)

    def asked(self, text):
        """Return how many requests had ``text`` in their last message."""
        return sum(text in body["messages"][-1]["content"] for body in self.requests)

    def stop(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def taxonomy():
    return Taxonomy(LABELS)


@pytest.fixture
def make_truth(tmp_path):
    def make(answers, topics=None):
        ids = [f"i{number}" for number in range(len(answers))]
        frame = pl.DataFrame({"id": ids, "question": ["Why?"] * len(ids), "answer": answers})
        topics = topics or [None] * len(ids)
        return Truth(tmp_path / "truth.csv", frame, ids, [()] * len(ids), topics, ids, clustered=False)

    return make


@pytest.fixture
def detect(make_truth, taxonomy, recorder, tmp_path):
    """Detect in some answers with settings that are written as in a configuration."""

    def run(settings, answers, *, topics=None, seed=None, embedder=None, labels=None):
        detector = make_detector(msgspec.convert(settings, DetectorSettings))
        files = {role: tmp_path / path for role, path in detector.files().items()}
        truth = make_truth(answers, topics)
        known = taxonomy if labels is None else Taxonomy(labels)
        return detector.detect(Request(truth, known, recorder, embedder, seed, files))

    return run


@pytest.fixture
def endpoint(server):
    """Settings of an endpoint detector that waits little."""

    def settings(**more):
        return {
            "kind": "endpoint",
            "url": server.url,
            "models": {"m": {}},
            "strategies": {"plain": {"user": "Answer: {{item.answer}}"}},
            "first_wait": 0.01,
            "longest_wait": 5,
            "timeout": 5,
            **more,
        }

    return settings


@pytest.fixture
def replies():
    """The replies that a server can give: Reply, chat, found."""
    from types import SimpleNamespace

    return SimpleNamespace(Reply=Reply, chat=chat, found=found, Server=Server)
