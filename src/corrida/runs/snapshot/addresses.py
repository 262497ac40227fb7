"""Addresses such as ``postgresql://me@host/jobs?table=offers``: told from file names, and freed of passwords."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PLACEHOLDER = re.compile(r"\$\{\w+\}\Z")
# The password of a database ends at the last @, since people write / and @ into it as they are. One with a space
# in it is looked for where there is none without, and where the number of a port does not stand. In other addresses
# (https://host:80/@me) only what stands before the first slash can be one.
_DATABASE = re.compile(
    r"((?:postgres|mysql|mariadb|mssql|oracle)[\w+.-]*://[^/\s:@]*):(\S*|(?!\d+[/?]).*)@",
    re.IGNORECASE | re.DOTALL,
)
_OTHER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*):([^/\s]*)@")
_PARAMETER = re.compile(r"([?&])([^=&#\s]*(?:password|passwd))=([^&\s]*)(&?)", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Tell whether ``text`` is an address rather than the name of a file."""
    return _ADDRESS.match(text) is not None


def without_password(text: str) -> str:
    """Return ``text`` without the passwords of addresses in it; one that only names a variable, ``${NAME}``, stays."""
    if "://" not in text:
        return text
    pattern = _DATABASE if _DATABASE.search(text) else _OTHER
    text = pattern.sub(lambda m: m[0] if _PLACEHOLDER.match(m[2]) else f"{m[1]}@", text)
    return _PARAMETER.sub(lambda m: m[0] if _PLACEHOLDER.match(m[3]) else m[1] if m[4] else "", text)
