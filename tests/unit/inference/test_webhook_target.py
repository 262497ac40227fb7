"""Webhooks go to public addresses only, however these are written and whatever names stand for later."""

from __future__ import annotations

import base64
import hashlib
import hmac
from ipaddress import ip_address, ip_network

import pytest

from corrida.errors import BadInput
from corrida.inference.webhook_target import addresses_of, may_connect, parse_target
from corrida.inference.webhooks import sign

PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "2001:4860:4860::8888", "64:ff9b::808:808"]
NOT_PUBLIC = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # private
    "169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "192.0.2.1", "192.88.99.1", "64:ff9b:1::1", "3fff::1", "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",  # IPv4 in IPv6
    "2002:7f00:1::", "2002:a00:1::1",  # 6to4 of 127.0.0.1 and 10.0.0.1
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",  # NAT64 of 127.0.0.1 and 169.254.169.254
    "2001:0:7f00:1::",  # Teredo by a server at 127.0.0.1
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_may_be_connected_to(text):
    assert may_connect(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_others_may_not(text):
    assert not may_connect(ip_address(text))


def test_unless_their_network_is_allowed():
    allow = [ip_network("10.0.0.0/8"), ip_network("fd12::/16")]
    assert may_connect(ip_address("10.1.2.3"), allow)
    assert may_connect(ip_address("::ffff:10.1.2.3"), allow)
    assert may_connect(ip_address("fd12::5"), allow)
    assert not may_connect(ip_address("192.168.1.1"), allow)


def test_every_address_of_a_name_is_checked():
    target = parse_target("https://hooks.example/x")
    mixed = lambda host, port: ["8.8.8.8", "127.0.0.1"]  # noqa: E731
    with pytest.raises(BadInput, match="not public"):
        addresses_of(target, lookup=mixed)
    assert addresses_of(target, lookup=lambda host, port: ["8.8.8.8", "8.8.8.8"]) == ["8.8.8.8"]
    with pytest.raises(OSError, match="no address"):
        addresses_of(target, lookup=lambda host, port: [])


@pytest.mark.parametrize(
    "url", ["http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://localhost/",
            "http://[::1]/", "http://[::ffff:7f00:1]/", "http://0/", "http://0x7f.1/", "http://017700000001/", "http://LOCALHOST/"],
)  # fmt: skip
def test_the_resolver_of_the_system_is_asked_what_a_host_stands_for(url):
    with pytest.raises((BadInput, OSError)):
        addresses_of(parse_target(url))


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example", "ftp://hooks.example/", "file:///etc/passwd", "http://", "http:///x", "https://me:pw@hooks.example/",
     "http://hooks.example:0/", "http://hooks.example:99999/", "http://hooks.example:x/", "http://hooks.example/ä",
     "http://hooks.example/a b", "http://%31%32%37.0.0.1/", "http://127。0。0。1/", "http://8.8.8.8:80@127.0.0.1/", "http://127.0.0.1\t/", "http://hooks.example\\@127.0.0.1/", "http://hooks.example/\r\nX: 1", "http://[::1%25eth0]/",
     "http://" + "a" * 2000, "http://[::1"],
)  # fmt: skip
def test_what_is_no_usable_address_is_refused_in_one_sentence(url):
    with pytest.raises(BadInput) as caught:
        parse_target(url)
    assert "\n" not in str(caught.value)
    assert "the webhook" in str(caught.value)


def test_the_parts_of_an_address():
    target = parse_target("https://Hooks.example/a?b=c")
    assert target == ("https", "hooks.example", 443, "/a?b=c")
    assert target.authority == "hooks.example"
    assert target.at("8.8.8.8") == "https://8.8.8.8:443/a?b=c"
    assert target.at("2606::1") == "https://[2606::1]:443/a?b=c"
    assert parse_target("http://[2606::1]:81").authority == "[2606::1]:81"


def test_the_signature_is_that_of_standard_webhooks():
    # The example of the specification's reference libraries (standardwebhooks, tests of the Python library).
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    own = hmac.new(key, b"id.5." + body, hashlib.sha256).digest()
    assert sign(secret, "id", 5, body) == "v1," + base64.b64encode(own).decode()
