"""Charging by a gateway outside: a real one, which counts by key, fails in every way, and must see each charge take effect once."""

from __future__ import annotations

import datetime as dt
import json
import signal
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.billing_server import Gateway
from tests.integration.inference.conftest import kill
from tests.integration.inference.test_engine import DOOM

from corrida.errors import InvalidConfig
from corrida.inference import billing_http, collector
from corrida.inference.billing import Entry, GatewayBusy, Ledger
from corrida.inference.billing_http import HttpGateway, check_address
from corrida.inference.collector import Collector
from corrida.inference.impact import recall
from corrida.inference.metrics import Metrics
from corrida.inference.postings import Postings
from corrida.inference.retry import Retries

SECRET = "kept-to-ourselves-4711"
QUICK = """
import corrida.inference.collector as collector, corrida.inference.postings as postings, corrida.inference.billing_http as http
from corrida.inference.retry import Retries
collector.POLICY = Retries(2**31, 0.05, 0.2)
collector._PAUSE, collector._LONGEST_PAUSE = 0.05, 0.2
postings.LEASE_SECONDS = 1.0
http.TRY_SECONDS = 1.0
"""
POINTS = [
    ("corrida.inference.billing:Ledger.record", "after"),
    ("corrida.inference.billing_http:HttpGateway.record", "before"),
    ("corrida.inference.billing_http:HttpGateway.record", "after"),
    ("corrida.inference.postings:Postings.taken", "after"),
]


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    monkeypatch.setenv("BILLING_SECRET", SECRET)
    made = Gateway(tmp_path / "gateway")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(collector, "POLICY", Retries(2**31, 0.01, 0.02))
    monkeypatch.setattr(billing_http, "TRY_SECONDS", 1.5)


def charged_by(world, gateway, **more):
    world.settings(billing_url=gateway.url, billing_secret="${BILLING_SECRET}", unit_price="0.05", **more)


def processed(world, *names):
    """End analyses as a worker does, without one, and charge them."""
    ledger = Ledger(world.service.database, onward=True)
    jobs = world.service.jobs
    for name in names:
        world.submit(name, "5,")
        job = jobs.set_model(jobs.claim(name, 1, "t", "me"), "one", "sha256:0", "distance")
        jobs.settle(job, "processed", None, {"rows": 1, "scored": 1})
        jobs.finish(jobs.get(name))
        assert ledger.record(Entry(analysis=name, units=1, amount="0.05", run_id="one"))
        jobs.set_charged(jobs.get(name))


def send(world, gateway, seconds=20.0):
    """Send until nothing waits any more."""
    database = world.service.database
    sender = Collector(database, HttpGateway(gateway.url, SECRET))
    end = time.monotonic() + seconds
    while sum(count for (_, status), count in Postings(database).counts().items() if status == "waiting"):
        assert time.monotonic() < end, gateway.calls()
        sender.send_due()
        time.sleep(0.01)
    sender._gateway.close()


def postings(world, *names):
    return {(one.analysis, one.kind): one.status for one in Postings(world.service.database).of(names)}


@pytest.mark.slow
def test_each_success_is_charged_once_whatever_is_killed_and_whatever_the_gateway_does(world, gateway):
    charged_by(world, gateway, attempts=1)
    gateway.stop()  # files are scored while it is away
    names = [world.submit(f"job-{number}", f"{number},") for number in range(len(POINTS) + 4)]
    world.submit("bad", "1,raise")
    world.submit("gone", "1,")
    world.service.cancel("gone")
    worker = world.worker("--slots", "1", script=QUICK + DOOM.format(place=POINTS[0][0], when=POINTS[0][1]))
    assert worker.wait(90) == -signal.SIGKILL
    worker = world.worker(script=QUICK)
    assert world.ended(*names, "bad") == ["processed"] * len(names) + ["failed"]
    world.until(lambda: world.charged() == sorted(names))
    assert set(postings(world, *names).values()) == {"waiting"}
    kill(worker)
    gateway.next("500", "after 500", "429 1", "after drop", "after hang", "hang", "401", "409 1")
    gateway.start()
    for place, when in POINTS[1:]:
        doomed = world.worker(script=QUICK + DOOM.format(place=place, when=when))
        assert doomed.wait(90) == -signal.SIGKILL, world.story()
    worker = world.worker(script=QUICK)
    world.until(lambda: set(postings(world, *names).values()) == {"taken"})
    assert sorted(gateway.effects()) == sorted(names)
    assert world.charged() == sorted(names)
    assert len(gateway.calls()) > len(names) + 3  # it was told more than once
    assert {secret for _, _, secret, _ in gateway.calls()} == {f"Bearer {SECRET}"}
    assert gateway.effects()["job-3"] == {
        "key": "job-3", "analysis": "job-3", "kind": "charge", "units": 1, "amount": "0.05", "run_id": "one",
        "time": gateway.effects()["job-3"]["time"],
    }  # fmt: skip
    for name in names:
        told = [e.event for e in world.service.jobs.events(name) if "charge" in e.event]
        assert told == ["charged", "charge_taken"]
    assert SECRET not in "".join(path.read_text() for path in world._logs.values())


@pytest.mark.slow
def test_a_recall_that_is_killed_on_the_way_refunds_each_charge_once(world, gateway, corrida, quick):
    charged_by(world, gateway)
    names = ["a1", "a2", "a3"]
    processed(world, *names)
    send(world, gateway)
    for place, when in POINTS:
        code = QUICK + DOOM.format(place=place, when=when) + "\nfrom corrida.cli.main import main\nmain()"
        killed = [sys.executable, "-c", code, "impact", "one", "--recall", "--reason", "wrong year"]
        assert subprocess.run(killed, check=False, cwd=world.root).returncode == -signal.SIGKILL
        time.sleep(1.1)  # what it had in hand is others' now
    corrida("impact", "one", "--recall", "--reason", "wrong year")
    assert sorted(gateway.effects()) == sorted([*names, *(f"{name}:refund" for name in names)])
    assert set(postings(world, *names).values()) == {"taken"}
    assert gateway.effects()["a2:refund"]["amount"] == "-0.05"
    assert [e.kind for e in Ledger(world.service.database).entries()] == ["charge"] * 3 + ["refund"] * 3
    assert "refunded: 0\ntaken by the gateway: 3" in corrida("impact", "one", "--recall", "--reason", "x").out


def test_what_the_gateway_refuses_is_shown_and_waits_for_a_person(small, gateway, corrida, quick):
    charged_by(small, gateway)
    metrics = Metrics(small.service)
    processed(small, "a1", "a2")
    gateway.next("402!")
    send(small, gateway)
    assert postings(small, "a1", "a2") == {("a1", "charge"): "refused", ("a2", "charge"): "refused"}
    assert sorted(key for key, *_ in gateway.calls()) == ["a1", "a2"]  # not again by itself
    assert small.service.jobs.get("a1").status == "processed"
    shown = corrida("jobs", "a1")
    assert "charge: 1 row, 0.05, refused by the gateway (status 402 Payment Required)" in shown.out
    assert "charge_refused" in shown.out
    said = corrida("jobs", "a1", "--json").json
    assert said["charges"][0]["gateway"] == "refused"
    assert b'corrida_charges{kind="charge",status="refused"} 2.0' in metrics.text()
    assert [job["id"] for job in corrida("jobs", "--refused", "--json").json] == ["a1", "a2"]
    gateway.next("")
    assert "the gateway is still to be told" in corrida("jobs", "a1", "--retry-charge").out
    send(small, gateway)
    assert list(gateway.effects()) == ["a1"]
    assert "nothing of the analysis a1 was refused" in corrida.refuses("jobs", "a1", "--retry-charge", code=1)
    assert "there is no analysis" in corrida.refuses("jobs", "nothing", "--retry-charge")
    assert "again: 1" in corrida("jobs", "--retry-charge").out
    send(small, gateway)
    assert sorted(gateway.effects()) == ["a1", "a2"]
    assert [e.event for e in small.service.jobs.events("a2") if "charge" in e.event] == [
        "charged", "charge_refused", "charge_again", "charge_taken",
    ]  # fmt: skip


def test_a_refund_is_told_after_its_charge_was_taken_and_never_where_that_was_refused(
    world, gateway, corrida, quick
):
    charged_by(world, gateway)
    processed(world, "waits", "refused")
    database = world.service.database
    due = {one.analysis: one for one in Postings(database).due(10)}
    Postings(database).refuse(Postings(database).take(due["refused"]), "status 402")
    recalled = recall(world.service.jobs, Ledger(database), "one", "wrong year")
    assert sorted(recalled) == ["refused", "waits"]
    assert postings(world, "waits", "refused") == {
        ("waits", "charge"): "waiting", ("waits", "refund"): "waiting",
        ("refused", "charge"): "void", ("refused", "refund"): "void",
    }  # fmt: skip
    assert [one.kind for one in Postings(database).due(10)] == ["charge"]
    assert "recalled" in corrida.refuses("jobs", "refused", "--retry-charge", code=1)
    send(world, gateway)
    assert [key for key, *_ in gateway.calls()] == ["waits", "waits:refund"]
    # A charge that is refused while its refund waits takes it along.
    processed(world, "late")
    recall(world.service.jobs, Ledger(database), "one", "wrong year")
    gateway.next("400")
    send(world, gateway)
    assert postings(world, "late") == {("late", "charge"): "void", ("late", "refund"): "void"}


def test_what_was_charged_without_a_gateway_is_refunded_without_one(small, gateway, corrida):
    ledger = Ledger(small.service.database)
    processed(small, "a1")
    with small.service.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM corrida_postings")  # as it is where no gateway was named then
    charged_by(small, gateway)
    assert corrida("impact", "one", "--recall", "--reason", "x", "--json").json["refunded"] == ["a1"]
    assert [e.kind for e in ledger.entries()] == ["charge", "refund"]
    assert postings(small, "a1") == {}
    assert gateway.calls() == []


@pytest.mark.parametrize(
    "word", ["drip", "hang", "after drop", "307 {url}/elsewhere", "500", "503 5", "429", "408"]
)
def test_a_gateway_that_does_not_answer_well_is_asked_again_later(gateway, quick, word):
    asked = HttpGateway(gateway.url, SECRET)
    gateway.next(word.format(url=gateway.url))
    began = time.monotonic()
    with pytest.raises(GatewayBusy) as caught:
        asked.record(Entry(analysis="a1", units=1))
    assert time.monotonic() - began < 5
    assert SECRET not in str(caught.value)
    assert caught.value.wait == (5.0 if word == "503 5" else None)
    assert len(gateway.calls()) == 1  # and where it points to is not followed
    assert asked.record(Entry(analysis="a1", units=1)) is (word != "after drop")
    assert asked.record(Entry(analysis="a1", units=1)) is False  # it had it already
    assert asked.record(Entry(analysis="a1", kind="refund", units=-1)) is True
    assert list(gateway.effects()) == ["a1", "a1:refund"]
    asked.close()


def test_waits_between_tries_grow_up_to_a_limit_and_are_what_the_gateway_asks_for(small, gateway):
    processed(small, "a1")
    gateway.next("500!")
    sender = Collector(small.service.database, HttpGateway(gateway.url))
    waits = []
    for _ in range(12):
        assert not sender.send_due(["a1"])
        (one,) = Postings(small.service.database).of(["a1"])
        waits.append(one.due - time.time())
        with small.service.database.transaction() as connection:
            connection.exec_driver_sql("UPDATE corrida_postings SET due = 0")
    for number, wait in enumerate(waits):
        longest = min(2.0 * 2**number, 600.0)
        assert longest / 2 - 1 < wait <= longest
    assert (one.tries, one.status, one.said) == (12, "waiting", "status 500 Internal Server Error")
    gateway.next("429 1000")
    sender.send_due(["a1"])
    assert 900 < Postings(small.service.database).of(["a1"])[0].due - time.time() <= 1000


class Tls:
    """A gateway with a certificate that it made itself."""

    def __init__(self, folder):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - dt.timedelta(1)).not_valid_after(now + dt.timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )  # fmt: skip
        self.file = folder / "gateway.pem"
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.file.write_bytes(key.private_bytes(*pem) + made.public_bytes(serialization.Encoding.PEM))
        self.got = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.got += 1
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_the_certificate_of_the_gateway_is_checked(tmp_path, monkeypatch):
    tls = Tls(tmp_path)
    url = f"https://localhost:{tls.server.server_port}/"
    try:
        stranger = HttpGateway(url, SECRET)
        with pytest.raises(GatewayBusy, match="no connection"):
            stranger.record(Entry(analysis="a1", units=1))
        assert tls.got == 0
        stranger.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(tls.file))
        known = HttpGateway(url, SECRET)
        assert known.record(Entry(analysis="a1", units=1))
        assert tls.got == 1
        known.close()
    finally:
        tls.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://bank.example/", "must be https"), ("http://10.0.0.1/", "must be https"), ("ftp://bank.example/", "no address"),
     ("bank", "no address"), ("https://", "no address"), ("https://bank.example:99999/", "no address"),
     ("https://bank.example/#x", "no address"), ("https://me@bank.example/", "user or password"),
     ("https://bank.example/a b", "no address")],
)  # fmt: skip
def test_addresses_that_cannot_be_used_are_refused(url, why):
    with pytest.raises(InvalidConfig, match=why):
        check_address(url)
    for usable in (
        "https://bank.example/charges?of=me",
        "http://127.0.0.1:81/",
        "http://localhost",
        "http://[::1]/",
    ):
        assert check_address(usable) == usable


def test_a_secret_is_never_in_the_settings_and_must_be_set(small, corrida, monkeypatch):
    small.settings(billing_url="https://bank.example/", billing_secret=SECRET)
    for command in ("jobs", "worker", "list"):
        said = corrida.refuses(command)
        assert "billing_secret must be ${NAME}" in said
        assert SECRET not in said
    small.settings(billing_url=f"https://me:{SECRET}@bank.example/")
    said = corrida.refuses("jobs")
    assert "billing_url holds a password" in said
    assert SECRET not in said
    small.settings(billing_url="https://bank.example/", billing_secret="${NOT_SET_HERE}")
    for command in (["worker"], ["serve"], ["impact", "one", "--recall", "--reason", "x"]):
        assert "NOT_SET_HERE is not set" in corrida.refuses(*command)
    monkeypatch.setenv("NOT_SET_HERE", "é")
    assert "no secret has" in corrida.refuses("worker")


def test_nothing_that_is_kept_holds_the_secret(small, gateway, quick, capsys):
    processed(small, "a1", "a2", "a3")
    gateway.next("402", "500", "after drop", "302 http://127.0.0.1:1/")
    send(small, gateway)
    assert json.dumps(small.service.jobs.events("a1"), default=repr).find(SECRET) < 0
    kept = b"".join(path.read_bytes() for path in (small.root / "spool").rglob("*") if path.is_file())
    assert SECRET.encode() not in kept
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    assert '"event":"billing"' in err
