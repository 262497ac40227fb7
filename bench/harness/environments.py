"""An environment of its own for every peer, with exact versions."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parents[1] / "peers"


def environment_python(folder: Path, peer: str) -> Path:
    """Return where the Python of a peer's environment is, or will be."""
    return folder / "venvs" / peer / "bin" / "python"


def requirements(peer: str) -> Path:
    """Return the file that pins a peer and all that it needs."""
    return PEERS / f"{peer}.txt"


def pinned_version(peer: str) -> str:
    """Return the version of the peer itself."""
    lines = requirements(peer).read_text(encoding="utf-8").splitlines()
    package = peer.partition("_")[0]
    return next(line.split("==")[1].strip() for line in lines if line.lower().startswith(f"{package}=="))


def ensure_environment(folder: Path, peer: str) -> None:
    """Install a peer unless it is there in the pinned versions.

    Raises:
        CalledProcessError: the installation failed; what pip says has been shown.
    """
    python = environment_python(folder, peer)
    pins = requirements(peer)
    stamp = python.parents[1] / "pins.sha256"
    digest = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return
    print(f"installing {peer} {pinned_version(peer)} …", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(python.parents[1])], check=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([str(python), "-m", "pip", "install", *quiet, "--requirement", str(pins)], check=True)
    stamp.write_text(digest, encoding="utf-8")
