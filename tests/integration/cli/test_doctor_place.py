"""``corrida doctor`` on the place of a store and on the installation."""

from __future__ import annotations

import errno
import fcntl
import importlib.metadata
import json
import os
import shutil
import subprocess
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.conftest import open_to_all

import corrida as package
from corrida.doctor import examine, installation_checks, place_checks, subject_of
from corrida.doctor.mounts import meaning_of, mount_of, parse_mounts, syncing_program

pytestmark = pytest.mark.disk  # what doctor says of memory is not asked here

# Lines as Linux writes them: a disk, an overlay, a network mount with a blank in its name, a share of Windows.
MOUNTS = """\
21 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
24 21 0:22 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw
35 21 0:33 / /srv/team\\040data rw,relatime shared:19 - nfs4 files.example.org:/export/team\\040data rw,vers=4.2
36 35 0:34 / /srv/team\\040data/fast rw - xfs /dev/sdb1 rw
40 21 0:40 / /mnt/c rw,noatime - 9p drvfs rw,dirsync,aname=drvfs;path=C:\\134
41 21 0:41 / /home/a/bucket rw - fuse.s3fs s3fs rw
42 21 0:42 / /var/lib/overlay rw - overlay overlay rw,lowerdir=/a,upperdir=/b
43 21 0:43 / /media/año rw - cifs //nas/año rw
44 43 0:44 / /media/año rw - lustre 10.0.0.1@tcp:/fs rw
this is no line of the table
"""


@pytest.mark.parametrize(
    ("path", "kind", "meaning"),
    [
        ("/home/a/runs", "ext4", None),
        ("/tmp/x", "tmpfs", "memory"),
        ("/srv/team data/runs", "nfs4", "network"),
        ("/srv/team database/runs", "ext4", None),
        ("/srv/team data/fast/runs", "xfs", None),
        ("/mnt/c/Users/a/runs", "9p", "host"),
        ("/home/a/bucket", "fuse.s3fs", "objects"),
        ("/var/lib/overlay/runs", "overlay", None),
        ("/media/año/runs", "lustre", "network"),  # mounted over the other
    ],
)
def test_which_file_system_a_folder_lies_on(path, kind, meaning):
    mount = mount_of(Path(path), parse_mounts(MOUNTS))
    assert mount is not None
    assert mount.type == kind
    found = meaning_of(kind)
    assert (found.kind if found else None) == meaning


@pytest.mark.parametrize("place", ["tmp", "/dev/shm", "/proc/self"])
def test_the_mounts_of_this_machine(tmp_path, place):
    path = Path(os.path.realpath(tmp_path if place == "tmp" else place))
    mount = mount_of(path, parse_mounts(Path("/proc/self/mountinfo").read_text()))
    said = subprocess.run(["df", "--output=fstype,target", path], check=True, capture_output=True, text=True)
    assert said.stdout.splitlines()[1].split() == [mount.type, mount.point]


def test_programs_that_keep_a_folder_in_step(tmp_path):
    assert syncing_program(Path("/home/a/Dropbox/project/runs")) == "Dropbox"
    assert syncing_program(Path("/home/a/OneDrive - Firm/runs")) == "OneDrive"
    assert syncing_program(Path("/home/a/Dropboxes/runs")) is None
    assert syncing_program(tmp_path / "runs") is None
    (tmp_path / ".stfolder").mkdir()
    assert syncing_program(tmp_path / "runs") == "Syncthing"


@pytest.fixture
def doctor(corrida):
    """Examine the working folder, and return what is found at ``where``."""

    def examine(where, *options, code=0):
        said = corrida("doctor", "--json", *options, code=code)
        return [(f["severity"], f["what"]) for f in said.json["findings"] if f["where"] == where]

    return examine


@pytest.fixture
def store(project):
    with package.start_run(run_id="a", capture=False):
        pass
    return project / "runs"


def test_a_store_in_memory(doctor, project):
    folder = Path(f"/dev/shm/corrida-doctor-{os.getpid()}")
    try:
        with package.start_run(run_id="a", store=folder, capture=False):
            pass
        ((severity, what),) = doctor(str(folder), "--store", folder)
        assert severity == "warning"
        assert "on tmpfs" in what
        assert "gone after a restart" in what
    finally:
        shutil.rmtree(folder)


def test_a_store_in_a_folder_that_is_kept_in_step(doctor, store):
    (store.parent / ".stfolder").mkdir()
    assert any("Syncthing keeps in step" in what for _, what in doctor("runs"))


def test_a_link_a_link_to_nothing_and_a_file(doctor, store, corrida):
    store.rename("elsewhere")
    store.symlink_to("elsewhere")
    assert (
        "note",
        "a link to elsewhere; that works, but git and rsync keep the link and not the runs",
    ) in doctor("runs")
    Path("elsewhere").rename("gone")
    assert ("error", "a link to elsewhere, which is not there") in doctor("runs", code=1)
    store.unlink()
    store.write_text("x")
    assert ("error", "a file, so it cannot be a store") in doctor("runs", code=1)
    assert "Traceback" not in corrida("doctor", code=1).out


def as_nobody(work) -> str:
    """Do ``work`` in a fork without rights (root may do anything), and return what it returned."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            os.write(writer, work().encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    assert os.waitpid(child, 0)[1] == 0
    return said


@pytest.fixture
def for_all(store):
    """Let every user in, as far as the store and the cache."""
    with open_to_all(store, Path(os.environ["CORRIDA_CACHE_DIR"])):
        yield store


def test_a_store_that_cannot_be_written_and_one_that_cannot_be_read(for_all):
    def findings():
        return json.dumps([(f.severity, f.where, f.what) for f in examine(subject_of())])

    findings()  # so that every module is loaded: a user without rights may not read them
    for_all.chmod(0o555)
    (for_all / ".corrida").chmod(0o555)
    found = json.loads(as_nobody(findings))
    assert [w for s, _, w in found if s != "note" and "cannot be written (you have no rights" in w]
    assert not [f for f in found if f[0] == "error"]
    for_all.chmod(0o000)
    found = json.loads(as_nobody(findings))
    assert [w for s, _, w in found if s == "error" and "Permission denied" in w]


def test_files_that_cannot_be_locked(doctor, store, monkeypatch):
    def refuses(fd, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuses)
    assert any("cannot be locked there (No locks available)" in what for _, what in doctor("runs"))


@pytest.mark.parametrize(("seconds", "severity"), [(30, "warning"), (-30, "warning"), (7200, "error")])
def test_a_clock_that_differs_from_that_of_the_file_system(doctor, store, monkeypatch, seconds, severity):
    real = time.time
    monkeypatch.setattr(place_checks.time, "time", lambda: real() - seconds)
    side = "ahead of" if seconds > 0 else "behind"
    found = doctor("runs", code=1 if severity == "error" else 0)
    assert any(s == severity and f"{side} that of this machine" in what for s, what in found)


def test_a_slow_file_system_is_no_skewed_clock(store):
    subject = subject_of()
    assert place_checks.clock_finding(subject, ahead=9.0, took=8.5) is None
    assert (
        place_checks.clock_finding(subject, ahead=-0.01, took=0.0) is None
    )  # the kernel's clock ticks in steps


def test_coarse_time_stamps(doctor, store, monkeypatch):
    real = os.utime
    steps = 2_000_000_000  # of FAT

    def coarse(path, times=None, *, ns=None, **more):
        if ns is None:  # the heartbeat of an open run of an earlier test, in its own thread
            return real(path, times, **more)
        return real(path, ns=tuple(n // steps * steps for n in ns), **more)

    monkeypatch.setattr(place_checks.os, "utime", coarse)
    assert any("coarse steps" in what for _, what in doctor("runs"))


def test_names_of_either_case(doctor, store, monkeypatch):
    real = os.open

    def of_either_case(path, flags, mode=0o777, **more):
        if ".doctor-" in str(path):
            os.close(real(path, flags, mode))
            os.link(path, Path(path).with_name(Path(path).name.swapcase()))
            flags &= ~os.O_EXCL
        return real(path, flags, mode, **more)

    monkeypatch.setattr(place_checks.os, "open", of_either_case)
    assert any("differ by case" in what for _, what in doctor("runs"))


@pytest.mark.parametrize(("free", "severity"), [(999_000_000, "warning"), (40_000_000, "error")])
def test_little_room(doctor, store, monkeypatch, free, severity):
    monkeypatch.setattr(place_checks.shutil, "disk_usage", lambda p: SimpleNamespace(free=free))
    found = doctor("runs", code=1 if severity == "error" else 0)
    assert any(s == severity and "of space are free" in what for s, what in found)


@pytest.mark.parametrize(("files", "found"), [(1_000_000, True), (0, False)])
def test_few_inodes(doctor, store, monkeypatch, files, found):
    state = SimpleNamespace(
        f_files=files, f_favail=123, f_bavail=1 << 30, f_blocks=1 << 31, f_bfree=1 << 30, f_frsize=4096
    )
    monkeypatch.setattr(place_checks.os, "statvfs", lambda p: state)
    assert any("123 more files can be made" in what for _, what in doctor("runs")) == found


# -- the installation --------------------------------------------------------------------------------------


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Lay the metadata of an installed package before all others."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def lay(name, version, *lines, entry_points=""):
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir()
        text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines])
        (folder / "METADATA").write_text(text + "\n")
        if entry_points:
            (folder / "entry_points.txt").write_text(entry_points)

    return lay


def test_packages_that_are_missing_or_do_not_fit(doctor, project, corrida, distribution):
    distribution("msgspec", "0.1")
    distribution(
        "corrida", "9", "Requires-Python: >=4", "Requires-Dist: msgspec>=0.20", "Requires-Dist: not-there>=1",
        "Provides-Extra: half", 'Requires-Dist: click; extra == "half"', 'Requires-Dist: not-there; extra == "half"',
        "Provides-Extra: none", 'Requires-Dist: not-there; extra == "none"',
    )  # fmt: skip
    assert doctor("Python", code=1)[0][1].endswith("and corrida needs >=4")
    said = corrida("doctor", "--json", code=1).json
    found = {f["what"]: f for f in said["findings"]}
    assert found["msgspec is 0.1, and >=0.20 is needed"]["severity"] == "error"
    assert found["not-there is not installed"]["severity"] == "error"
    assert found["half there: not-there is not installed"]["next"] == "`pip install -U 'corrida[half]'`"
    assert {e["name"]: e["installed"] for e in said["extras"]} == {"half": False, "none": False}
    assert (
        "extra none, not-there: not installed (`pip install 'corrida[none]'`)"
        in corrida("doctor", code=1).out
    )


def test_data_in_a_database_without_what_it_takes_to_read_one(doctor, toy, distribution):
    settings = toy.root / "corrida.toml"
    settings.write_text(settings.read_text().replace("data/texts.csv", "sqlite:///offers.db#offers"))
    requirement = 'Requires-Dist: not-there; extra == "database"'
    distribution("corrida", "9", "Requires-Python: >=3", "Provides-Extra: database", requirement)
    assert ("error", "its data lie in a database: not-there is not installed") in doctor(
        "pipeline jobs", code=1
    )


def test_a_corrida_that_is_not_installed(doctor, project, monkeypatch):
    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", none)
    assert doctor("packages")[0][0] == "note"


def test_every_extra_says_what_it_is_for():
    document = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert set(document["project"]["optional-dependencies"]) == {*installation_checks.PURPOSES, "dev"}


def test_a_pipeline_of_a_package_that_cannot_be_loaded(doctor, project, distribution):
    distribution(
        "their-pipelines", "1.0", entry_points="[corrida.pipelines]\ntheirs = nowhere_at_all:pipeline\n"
    )
    ((severity, what),) = doctor("pipeline theirs")
    assert severity == "warning"
    assert what.startswith(
        "the package their-pipelines names it, and it cannot be loaded: ModuleNotFoundError"
    )


def test_a_damaged_catalog_and_the_command_that_is_named(doctor, store, corrida):
    package.Store().runs()
    (catalog,) = Path(os.environ["CORRIDA_CACHE_DIR"]).glob("*.sqlite")
    assert doctor(f"catalog {catalog.name}") == []
    catalog.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    ((severity, what),) = doctor(f"catalog {catalog.name}")
    assert severity == "warning"
    assert "damaged" in what
    (finding,) = [f for f in corrida("doctor", "--json").json["findings"] if "catalog" in f["where"]]
    subprocess.run(finding["next"].strip("`"), shell=True, check=True)
    assert doctor(f"catalog {catalog.name}") == []


def test_a_cache_that_cannot_be_written(doctor, project, monkeypatch):
    (project / "file").write_text("x")
    monkeypatch.setenv("CORRIDA_CACHE_DIR", str(project / "file"))
    ((severity, what),) = doctor(f"cache {project / 'file'}")
    assert severity == "warning"
    assert "cannot be written" in what


def test_two_corridas_on_path(doctor, project, monkeypatch, tmp_path):
    for name in ("one", "two", "link"):
        (tmp_path / name).mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "corrida").write_text("#!/bin/sh\n")
        (tmp_path / name / "corrida").chmod(0o755)
    (tmp_path / "link" / "corrida").symlink_to(tmp_path / "one" / "corrida")
    monkeypatch.setenv("PATH", f"{tmp_path}/one{os.pathsep}{tmp_path}/link")
    assert doctor("PATH") == []
    monkeypatch.setenv("PATH", f"{tmp_path}/one{os.pathsep}{tmp_path}/two")
    ((severity, what),) = doctor("PATH")
    assert severity == "warning"
    assert what.startswith(f"{tmp_path}/one/corrida comes before {tmp_path}/two/corrida")


def test_a_terminal_that_is_not_of_unicode(corrida, project):
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    said = corrida.process("doctor", env=environment, encoding="latin-1")
    assert said.returncode == 0, said.stderr
    assert "the terminal uses iso8859-1" in said.stdout
    assert "\\u2192 `export PYTHONUTF8=1`" in said.stdout
    assert "the terminal uses" not in corrida.process("doctor", env={**os.environ, "PYTHONUTF8": "1"}).stdout
