"""What ``[serve]`` of corrida.toml and the flags say, resolved once: places are absolute, the database has an address."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from corrida.errors import InvalidConfig
from corrida.project import ServeSettings  # noqa: TC001 - msgspec reads the annotations
from corrida.runs.ids import parse_reference, validate_alias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from corrida.project import Project


DATABASE_FILE = "jobs.db"


class Runner(msgspec.Struct, frozen=True, kw_only=True):
    """Where the runner works and within which limits.

    Attributes:
        root: the project folder, from which a pipeline of the project is imported.
        store: folder of the runs, absolute.
        spool: folder of the files, absolute.
        database: address of the jobs' database as it may be shown; ``${NAME}`` stands for a variable of the
            environment.
        limits: the section ``[serve]`` with the flags over it.
    """

    root: Path
    store: Path
    spool: Path
    database: str
    limits: ServeSettings


def database_beside(spool: Path) -> str:
    """Return the address of the jobs' database that lies in a spool, as it is where none is named."""
    return f"sqlite:///{spool / DATABASE_FILE}"


def runner_of(
    project: Project, *, spool: str | None = None, database: str | None = None, **flags: Any
) -> Runner:
    """Put the settings of a project and the flags of a command together.

    Args:
        project: with its settings.
        spool: a folder that was named, relative to the working folder.
        database: an address that was named.
        flags: other keys of ``[serve]``; None leaves a key as it is.

    Raises:
        InvalidConfig: a value is out of range.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    limits = msgspec.structs.replace(project.settings.serve, **given)
    _check(limits)
    folder = Path.cwd() / spool if spool is not None else project.root / limits.spool
    folder = Path(os.path.normpath(folder))
    address = database or limits.database or database_beside(folder)
    return Runner(
        root=project.root, store=project.store_folder, spool=folder, database=address, limits=limits
    )


def _check(limits: ServeSettings) -> None:
    validate_alias(limits.alias)
    if limits.shadow is not None:
        parse_reference(limits.shadow)
    check_networks(limits.webhook_allow)
    if limits.billing_url is not None:
        from corrida.inference.billing_http import check_address

        check_address(limits.billing_url)
    for key, least in _LEAST.items():
        value = getattr(limits, key)
        if value is not None and not value >= least:
            raise InvalidConfig(f"[serve] {key} is {value}; it must be at least {least}")
    if limits.unit_price is not None:
        from decimal import Decimal, InvalidOperation

        try:
            usable = Decimal(limits.unit_price) >= 0
        except InvalidOperation:
            usable = False
        if not usable:
            raise InvalidConfig(
                f"[serve] unit_price is {limits.unit_price!r}; write a decimal number such as 0.05"
            )


def check_networks(texts: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return networks as ``[serve] webhook_allow`` names them.

    Raises:
        InvalidConfig: one is none.
    """
    from ipaddress import ip_network

    found = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            raise InvalidConfig(
                f"[serve] webhook_allow: {text!r} is no network; write addresses such as 10.0.0.0/8 or 127.0.0.1"
            ) from None
    return tuple(found)


_LEAST: dict[str, float] = {
    "slots": 1,
    "time_limit": 0.1,
    "shadow_time_limit": 0.1,
    "max_bytes": 1,
    "max_rows": 1,
    "attempts": 1,
    "retry_seconds": 0,
    "retry_most_seconds": 0,
    "poll_seconds": 0.01,
    "settle_seconds": 0,
    "inline_rows": 0,
    "memory_mb": 64,
    "port": 0,
    "calls_per_minute": 1,
    "uploads": 1,
    "upload_idle": 0.1,
    "wait_most": 0,
    "webhook_attempts": 1,
}
