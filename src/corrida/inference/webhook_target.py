"""Where a webhook may go: public addresses only, and the address that was looked at is the one that is connected to.

A name is resolved once for each try, every address it stands for is checked, and the connection goes to one of these: a name
that stands for another address a moment later (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from corrida.errors import BadInput

Networks = Sequence[IPv4Network | IPv6Network]
Lookup = Callable[[str, int], list[str]]

_LONGEST = 2000
_NAT64 = IPv6Network("64:ff9b::/96")
# Special by RFC 6890 and its followers; which of them Python knows depends on its version.
_SPECIAL = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("100::/64"),
    IPv6Network("fec0::/10"),
    IPv6Network("3fff::/20"),
    IPv6Network("5f00::/16"),
)
_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """The parts of the address of a webhook.

    Attributes:
        scheme: ``http`` or ``https``.
        host: name or address, in small letters; of IPv6 without brackets.
        port: of it.
        resource: path and query.
    """

    scheme: str
    host: str
    port: int
    resource: str

    @property
    def authority(self) -> str:
        """Host and port as the header Host has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def at(self, address: str) -> str:
        """Return the URL of the same resource at an address."""
        host = f"[{address}]" if ":" in address else address
        return f"{self.scheme}://{host}:{self.port}{self.resource}"


def parse_target(url: str) -> Target:
    """Read the address of a webhook; nothing is resolved.

    Raises:
        BadInput: it is no http or https address, or holds a password.
    """
    if len(url) > _LONGEST:
        raise BadInput(f"the webhook has {len(url):,} characters; at most {_LONGEST:,} are taken")
    if not url.isascii() or any(c <= " " or c in '\\"<>^`{|}\x7f' for c in url):
        raise BadInput("the webhook holds characters that an address cannot have; write them as %xx")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadInput("the webhook is no address; write https://HOST/PATH") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadInput("the webhook is no address; write https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise BadInput("the webhook holds a user or password; the signature is what proves the sender")
    if "%" in parts.hostname:
        raise BadInput("the webhook names a zone of a network; write a public address")
    if port == 0:
        raise BadInput("the webhook names port 0; write one that can be connected to")
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], (parts.path or "/") + query)


def addresses_of(target: Target, allow: Networks = (), lookup: Lookup | None = None) -> list[str]:
    """Resolve the host of a webhook and return its addresses, each of which may be connected to.

    Args:
        target: the webhook.
        allow: networks that are allowed although they are not public.
        lookup: host and port to addresses; the resolver of the system when None.

    Raises:
        BadInput: one of the addresses is not public.
        OSError: the name cannot be resolved now.
    """
    found = list(dict.fromkeys((lookup or _resolve)(target.host, target.port)))
    if not found:
        raise OSError("no address")
    for text in found:
        if not may_connect(ip_address(text), allow):
            raise BadInput(
                "the webhook leads to an address that is not public; [serve] webhook_allow of corrida.toml allows networks"
            )
    return found


def may_connect(address: IPv4Address | IPv6Address, allow: Networks = ()) -> bool:
    """Tell whether an address is public, or in a network that is allowed.

    Addresses that carry another one (IPv4 in IPv6, 6to4, Teredo, NAT64) are judged by what they carry as well.
    """
    return all(_is_public(one) or _is_in(one, allow) for one in _carried(address))


def _carried(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    inner: list[IPv4Address | IPv6Address] = [address]
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner += address.teredo
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if int(address) >> 32 == 0:  # ::a.b.c.d, long out of use
        inner.append(IPv4Address(int(address)))
    return inner


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    special = (
        address.is_multicast or address.is_reserved or address.is_unspecified or _is_in(address, _SPECIAL)
    )
    return address.is_global and not special


def _is_in(address: IPv4Address | IPv6Address, networks: Networks) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]).partition("%")[0] for entry in found]
