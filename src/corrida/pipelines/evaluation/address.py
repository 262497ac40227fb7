"""Addresses of endpoints, as a configuration names them; apart from the client, which takes longer to import."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def check_url(url: str) -> None:
    """Refuse what is no base of an endpoint, or holds a secret that would be recorded with the run.

    Raises:
        ValueError: what is wrong.
    """
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port or True)
    except ValueError:
        named = False
    if not named or parts.scheme not in {"http", "https"}:
        raise ValueError("url must be like https://host/v1, without /chat/completions or /embeddings")
    if parts.username or parts.password:
        raise ValueError(
            "url must not hold a name or key: it is recorded. Name the variable with the key in key_variable"
        )
    if any(sign in parts.query.lower() for sign in ("key", "token", "secret", "sig=", "password")):
        raise ValueError(
            "url must not hold a key: it is recorded. Name the variable with the key in key_variable"
        )


def address(url: str, path: str) -> str:
    """Return the address of a resource below the base of an endpoint; a query such as api-version stays at the end."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{path}", parts.query, ""))
