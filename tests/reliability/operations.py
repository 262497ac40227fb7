"""What the children of the warm process do: one operation of the store each, and what a reader sees after it.

What is imported here is imported once, before the forks; polars starts its threads when it is first used, in a child.
All stands in the working folder: the project, its store ``runs``, and nothing else. An operation that takes
``watch`` as its first argument does its preparations first, and then what is to be watched.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import polars as pl

import corrida.analysis.blocks
import corrida.cli.keep
import corrida.cli.look
import corrida.cli.main
from corrida.errors import CorridaError
from corrida.runs import journal, predictions
from corrida.runs.spec import RunSpec
from corrida.runs.store import Store
from corrida.runs.trash import trash_folder
from corrida.runs.verify import verify_run

OLD = {"config/a.json": b'{"a": 1}', "config/deep/b.yaml": b"b: 1\n"}
NEW = {"config/a.json": b'{"a": 2}', "config/extra.json": b"{}"}
PATTERNS = ["config/*.json", "config/deep/*.yaml"]


# -- preparations -------------------------------------------------------------------------------------------------


def start(run_id: str | None = None, **options: Any) -> Any:
    """Start a run in the store of the working folder."""
    settings = {"pipeline": "p", "root": Path.cwd(), "capture": False, "run_id": run_id} | options
    return Store("runs").start(RunSpec(**settings))


def lay(contents: dict[str, bytes]) -> None:
    """Make the configurations of the project these, and no others."""
    for name in OLD | NEW:
        Path(name).unlink(missing_ok=True)
    for name, data in contents.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)
    with contextlib.suppress(OSError):
        os.rmdir("config/deep")


def full_run(run_id: str, configs: dict[str, bytes] | None = None, parent: str | None = None) -> Any:
    """Start a run and log something of every kind to it."""
    run = start(
        run_id, configs=list((configs or {}).items()), config_patterns=PATTERNS, parent=parent, params={"p": 1},
        data=[Path("data.csv")], tags={"t": "1"},
    )  # fmt: skip
    for step in range(3):
        run.log({"loss": 1 / (step + 1)}, step=step)
    run.log_items([{"item_id": "i1", "correct": True}, {"item_id": "i2", "correct": False}])
    run.log_items(pl.DataFrame({"item_id": ["i3"], "correct": [True]}))
    run.log_metrics({"f1": 0.5})
    run.save_bytes("plots/one.bin", b"one" * 100)
    run.log_artifact("folder")
    run.log_file.write("printed\n")
    return run


def prepare(undoable: str = "") -> None:
    """Fill the working folder with a store in which every operation has something to do."""
    Path("data.csv").write_text("a\n1\n")
    Path("folder/sub").mkdir(parents=True)
    Path("folder/sub/file.txt").write_text("in a folder")
    lay(OLD)
    full_run("old", OLD).finish()
    for name, parent in (("child", "old"), ("gone", None), ("gone-child", "gone")):
        run = start(name, parent=parent)
        run.log_metrics({"f1": 0.1})
        run.finish()
    start("third", configs=[("config/a.json", b"third")], config_patterns=PATTERNS).finish()
    start("lone").finish()
    lay(NEW)
    full_run("new", NEW).finish()
    store = Store("runs")
    store.promote("old", "stage")
    store.promote("child", "production")
    store.promote("new", "production")
    store.note("old", "first note")
    store.remove(["gone"])
    if undoable == "restore":
        restore(None)
    elif undoable == "rm":
        remove(None)


def _armed(watch: Any) -> None:
    if watch is not None:
        watch.install()


# -- operations ---------------------------------------------------------------------------------------------------


def begin(watch: Any) -> None:
    """Start a run with configurations and data."""
    _armed(watch)
    start("fresh", configs=list(NEW.items()), data=[Path("data.csv")], params={"p": 1})


def first(watch: Any) -> None:
    """Start and finish the first run of a store that is not there yet."""
    _armed(watch)
    start("fresh", configs=list(NEW.items())).finish()


def finish(watch: Any) -> None:
    """Finish a run to which everything was logged."""
    run = full_run("fresh", NEW)
    _armed(watch)
    run.finish()


def fail(watch: Any) -> None:
    """End a run as failed."""
    run = full_run("fresh", NEW)
    _armed(watch)
    run.fail(ValueError("it went wrong"))


def finish_again(watch: Any) -> tuple[str, dict[str, Any]]:
    """Finish a run; where that is refused, there is room again, and it is finished once more.

    Returns:
        What was said, and what a reader saw of the run between the two.
    """
    run = full_run("fresh", NEW)
    _armed(watch)
    try:
        run.finish()
    except CorridaError as error:
        watch.disarm()
        seen = _run(Store("runs").get("fresh"))
        run.finish()
        return f"{error.exit_code} {error}", seen
    return "", {}


def whole(watch: Any) -> None:
    """Start a run in a store that is not there yet, log everything to it, and finish it."""
    Path("data.csv").write_text("a\n1\n")
    Path("folder/sub").mkdir(parents=True)
    Path("folder/sub/file.txt").write_text("in a folder")
    _armed(watch)
    full_run("fresh", NEW).finish()


def restore(watch: Any) -> None:
    """Put the configurations of the old run in the place of the new, which are kept with a run."""
    store = Store("runs")
    _armed(watch)
    store.restore(store.plan_restore("old", Path.cwd(), exact=True))


def undo(watch: Any) -> None:
    """Take back the last restore or removal."""
    store = Store("runs")
    _armed(watch)
    store.undo()


def promote(watch: Any) -> None:
    """Point an alias that another run carries to a run."""
    store = Store("runs")
    _armed(watch)
    store.promote("old", reason="x" * 300)


def demote(watch: Any) -> None:
    """Point an alias back."""
    store = Store("runs")
    _armed(watch)
    store.demote(reason="no good")


def remove(watch: Any, *runs: str) -> list[str]:
    """Move a run, with its child, to the trash."""
    store = Store("runs")
    _armed(watch)
    return store.remove(runs or ["old"], force=True)


def remove_politely(watch: Any, run_id: str) -> list[str]:
    """Move a run to the trash unless it is in use."""
    store = Store("runs")
    _armed(watch)
    return store.remove([run_id])


def bring_back(watch: Any) -> list[str]:
    """Move a run of the trash, with its child, back."""
    store = Store("runs")
    _armed(watch)
    return store.bring_back(["gone"])


def empty_trash(watch: Any) -> list[str]:
    """Delete what is in the trash."""
    store = Store("runs")
    _armed(watch)
    return store.empty_trash()


def note(watch: Any, text: str = "second note") -> None:
    """Add a note to a run that has one."""
    store = Store("runs")
    _armed(watch)
    store.note("old", text)


def tag(watch: Any) -> None:
    """Set a tag and remove another."""
    store = Store("runs")
    _armed(watch)
    store.tag("old", {"new": "ñ", "t": None})


def keep_prediction(watch: Any) -> str:
    """Keep a prediction in the folder of an ended run, and return its id."""
    store = Store("runs")
    _armed(watch)
    kept = predictions.keep_prediction(
        store.root / "old",
        lambda name: f"value,prediction_id\n1,{name}\n".encode() * 20,
        "csv",
        {"rows": 20, "run_digest": store.get("old").run_file().seal},
    )
    return kept.id


def look_at_predictions() -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """Return the predictions that are whole, what verify finds, and the files of the folder."""
    run = Store("runs").get("old")
    found = [(p.file, p.finding) for p in verify_run(run.dir).problems]
    folder = run.dir / "predictions"
    whole = [one.id for one in run.predictions() if (folder / one.file).stat().st_size == one.size]
    return whole, found, sorted(os.listdir(folder)) if folder.is_dir() else []


# -- what a reader sees -------------------------------------------------------------------------------------------


def look() -> dict[str, Any]:
    """Return all that a process that opens the store now sees of it, without times; the command line must work."""
    store = Store("runs")
    listed = store.runs()
    return {
        "runs": {record.id: _run(record) for record in listed},
        "latest": [r.id for r in listed if r.status == "finished"][:1],
        "aliases": {alias: promotion.run for alias, promotion in store.aliases().items()},
        "promotions": [(p.alias, p.run, p.reason) for p in store.alias_history()],
        "trash": {name: verify_run(trash_folder(store.root) / name).problems for name in store.trashed()},
        "undoable": _undoable(store),
        "undone": [o.kind for o in journal.operations(store.root)],
        "project": {
            str(path): path.read_bytes()
            for path in sorted(Path().rglob("*"))
            if path.is_file() and path.parts[0] != "runs"
        },
        "verify": _verified(),
        "list": [run["id"] for run in json.loads(say("list", "--json"))],
    }


def _verified() -> dict[str | None, list[tuple[str, str]]]:
    """Return what `corrida verify` finds, by run; None for the files of the store itself."""
    found = json.loads(say("verify", "--json"))
    return {v["run"]: [(p["file"], p["finding"]) for p in v["problems"]] for v in found}


def _undoable(store: Store) -> tuple[str, tuple[str, ...]] | None:
    operation = journal.last_undoable(store.root)
    return operation and (operation.kind, operation.runs)


def say(*arguments: str) -> str:
    """Call a command, which must not stumble over anything, and return what it prints."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = corrida.cli.main.run_cli([*arguments, "--store", "runs"])
    assert (code, err.getvalue()) == (0, ""), (arguments, code, out.getvalue(), err.getvalue())
    return out.getvalue()


def _run(record: Any) -> dict[str, Any]:
    with contextlib.suppress(CorridaError):
        return {
            "status": record.status,
            "metrics": record.metrics,
            "params": record.params,
            "tags": record.tags,
            "parent": record.parent,
            "notes": [n.text for n in record.later_notes],
            "aliases": record.aliases,
            "steps": record.history()["loss"].to_list() if (record.dir / "history.jsonl").exists() else [],
            "items": record.items()["item_id"].to_list() if record.has_items() else [],
            "files": {name: record.path(name).read_bytes() for name in record.artifacts()},
            "configs": record.config_files(),
            "log": _text(record.dir / "log.txt"),
        }
    return {"status": record.status}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def index_ids() -> list[str]:
    """Return the runs that index.json names as it is, before anybody reads the store and mends it."""
    content = json.loads(Path("runs/index.json").read_text())
    assert content.pop("format_version") == 1
    return sorted(content)


def nothing() -> int:
    """Do nothing."""
    return os.getpid()


def look_and_again(operation: str) -> tuple[dict[str, Any], str]:
    """Return what is seen now, and what a second attempt at an operation says."""
    now = look()
    try:
        globals()[operation](None)
    except CorridaError as error:
        return now, str(error)
    return now, ""


def promote_fresh(watch: Any) -> None:
    """Promote the only run of a store, for the first time."""
    store = Store("runs")
    _armed(watch)
    store.promote("fresh")


# -- for several processes at once --------------------------------------------------------------------------------


def promote_run(_: Any, run_id: str) -> None:
    """Point an alias to a run."""
    Store("runs").promote(run_id)


def restore_run(_: Any, run_id: str) -> None:
    """Restore a run, whatever stands there."""
    store = Store("runs")
    store.restore(store.plan_restore(run_id, Path.cwd(), exact=True), force=True)


def undo_and_look() -> dict[str, Any]:
    """Take back the last operation."""
    Store("runs").undo()
    return look()


def finish_slowly(_: Any) -> None:
    """Finish a run that somebody else removes meanwhile: it ends before, or is told."""
    run = full_run("fresh")
    Path("started").touch()
    with contextlib.suppress(CorridaError):
        run.finish()


def remove_when_there(_: Any, run_id: str) -> None:
    """Remove a run as soon as it is wholly there, whether or not it runs."""
    while not Path("started").exists():
        time.sleep(0.0005)
    Store("runs").remove([run_id], force=True)


def leftovers() -> list[str]:
    """Return what operations have left behind in the store: plans, drafts, and what was to be deleted."""
    private = Path("runs/.corrida")
    found = [*private.glob("journal/*.moves"), *private.glob("journal/.*"), *private.glob("emptied/*")]
    return [str(path) for path in [*found, *Path().rglob("*.tmp")]]


def many(count: int) -> list[str]:
    """Start and finish runs whose ids are made of the time, of a date and a seed, or of a tag."""
    made = []
    for number in range(count):
        options = ({}, {"seed": 7}, {"run_tag": "tag"})[number % 3]
        run = start(params={"n": number}, **options)
        run.log({"x": number})
        run.log_metrics({"n": number})
        run.finish()
        made.append(run.id)
    return made


def claim(place: str, run_id: str) -> str:
    """Start and finish a run through one of several paths to the store."""
    run = Store(place).start(RunSpec(pipeline="p", root=Path.cwd(), capture=False, run_id=run_id))
    run.log_metrics({"f1": 0.5})
    run.finish()
    return run_id


def list_until(stop: str, expected: list[str]) -> int:
    """List the store again and again, with a store that stays open and with new ones; every answer must be right."""
    opened, count = Store("runs"), 0
    while not Path(stop).exists():
        for store in (opened, Store("runs")):
            assert sorted(r.id for r in store.runs()) == expected
            assert [
                r.id for r in store.runs(filter="metrics.f1 > 0.4", order_by="-metrics.f1", limit=1)
            ] != []
            assert store.get("latest").id == "new"
        count += 1
    return count


def harm_the_catalog(how: str, times: int, stop: str) -> None:
    """Do something to the files of the catalog again and again while others use them."""
    try:
        for _ in range(times):
            for path in Path(os.environ["CORRIDA_CACHE_DIR"]).glob("catalog*"):
                with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                    _harm(path, how)
            time.sleep(0.02)
    finally:
        Path(stop).touch()


def _harm(path: Path, how: str) -> None:
    if path.name.endswith("-shm") and how not in {"delete", "read-only"}:
        return  # memory that living processes share: whoever shortens it kills them, and it is no data
    if how == "delete":
        path.unlink()
    elif how == "truncate":
        os.truncate(path, path.stat().st_size // 2)
    elif how == "garbage":
        path.write_bytes(b"garbage" * 2000)
    elif how == "amid" and path.stat().st_size > 8192:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * 4096)
    elif how == "read-only":
        path.chmod(0o444)
    elif how == "folder":
        path.unlink()
        with contextlib.suppress(FileExistsError):  # a reader was quicker: the next round harms it again
            path.mkdir()


def list_what_arrives(stop: str) -> tuple[int, list[str], list[int]]:
    """List a store into which runs are being copied.

    Returns:
        How often it was listed, the statuses that were seen, and how many runs there were each time.
    """
    opened, statuses, counts = Store("runs"), set(), []
    last = False
    while not last:
        last = Path(stop).exists()
        for store in (opened, Store("runs")):
            runs = store.runs()
            for run in runs:
                statuses.add(run.status)
                assert run.status in {"finished", "unreadable", "crashed"}, run
                if run.status == "finished":
                    assert run.metrics == {"f1": 0.5, "n": int(run.id.removeprefix("r"))}
                    assert run.tags == {"last": "field"}
            counts.append(len(runs))
    assert counts == sorted(counts), "a run that was seen was gone"
    return len(counts), sorted(statuses), counts


def copy_runs(source: str, count: int, stop: str) -> float:
    """Copy run folders as a program does that knows nothing of stores: file by file, in pieces, in place.

    Returns:
        The seconds that it took.
    """
    began = time.monotonic()
    try:
        for number in range(count):
            folder = Path("runs", f"r{number}")
            folder.mkdir()
            for file in sorted(Path(source, f"r{number}").iterdir()):
                data = file.read_bytes()
                with (folder / file.name).open("wb", buffering=0) as copy:
                    copy.write(data[: len(data) // 2])
                    copy.write(data[len(data) // 2 :])
            time.sleep(max(0.0, began + (number + 1) / 1_000 - time.monotonic()))  # a thousand a second
    finally:
        Path(stop).touch()
    return time.monotonic() - began


def full_run_from_files(run_id: str) -> None:
    """Keep a run of the configurations that stand in the project."""
    configs = [(str(path), path.read_bytes()) for path in sorted(Path("config").rglob("*")) if path.is_file()]
    start(run_id, configs=configs, config_patterns=PATTERNS).finish()
