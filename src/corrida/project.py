"""What corrida.toml (or [tool.corrida] in pyproject.toml), the environment and the flags say, resolved once."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from corrida.analysis.gate_rules import GateRule, GateSettings
from corrida.errors import BadInput, InvalidConfig
from corrida.runs.snapshot.addresses import without_password
from corrida.runs.store import DEFAULT_FOLDER, Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT_FILE = "corrida.toml"
STORE_VARIABLE = "CORRIDA_DIR"
RUN_VARIABLE = "CORRIDA_RUN_DIR"
DATABASE_VARIABLE = "CORRIDA_DATABASE_URL"


_VARIABLE = re.compile(r"\$\{\w+\}")
_WORDS = {
    "str | null": "text",
    "int | null": "a whole number",
    "str": "text",
    "int": "a whole number",
    "float | str | null": "a number, or a share such as 1%",
    "float | str": "a number, or a share such as 1%",
    "str | array": "text or a list",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object | null": "a table",
    "object": "a table",
    "null": "nothing",
}
S = TypeVar("S", bound=msgspec.Struct)


class PipelineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section ``[pipelines.NAME]``: what a project always uses for a pipeline of its own name.

    Attributes:
        uses: a built-in or installed pipeline, or ``module:object`` of the project; NAME when not given.
        configs: configuration files or globs.
        data: data files or globs.
        source, description, seed: as of ``corrida run``.
        tags: added to each run.
        set: values that win over the configuration files, by dotted key.
        primary_metric: which metric decides, in place of the pipeline's.
        direction: whether more or less of it is better, where the pipeline does not say.
        stamp: write the id of each finished run onto the rows of the database.
        gate: what a change of this pipeline must not make worse, in place of the project's.
    """

    uses: str | None = None
    configs: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    source: str | None = None
    description: str | None = None
    seed: int | None = None
    tags: dict[str, str] = {}
    set: dict[str, Any] = {}
    primary_metric: str | None = None
    direction: Literal["max", "min"] | None = None
    stamp: bool = False
    gate: GateSettings | None = None


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``[database]``: the table whose rows get the id of the run that processed them.

    Attributes:
        url: such as ``postgresql://me:${DB_PASSWORD}@host/jobs``; ``${NAME}`` stands for a variable of the
            environment. A SQLite file is relative to the settings file.
        table: the table, with its schema where it needs one.
        key: the column that holds the item ids; the primary key when not given.
        column: the column that gets the run id.
    """

    url: str | None = None
    table: str | None = None
    key: str | None = None
    column: str = "run_id"


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``[serve]``: how files are scored by the run that an alias points to; see docs/serving.md.

    Attributes:
        spool: folder of the files that wait and of the results, relative to the settings file.
        database: of the jobs, such as ``postgresql://me:${DB_PASSWORD}@host/jobs``; a SQLite file in the spool when
            not given.
        alias: whose run scores, without ``@``.
        shadow: a run that scores processed files as well, for comparison: an id, a prefix, ``@alias`` or ``latest``.
        shadow_time_limit: seconds for one file of the shadow.
        slots: files that one worker scores at once.
        time_limit: seconds for one file; what takes longer is killed.
        max_bytes: a larger file is refused.
        max_rows: a longer one is refused.
        attempts: how often a file is tried that fails for a reason that may pass.
        retry_seconds: before the second attempt; doubled for each further one.
        retry_most_seconds: the longest wait between two attempts.
        poll_seconds: how often a worker looks for work.
        settle_seconds: how long a file that was dropped into pending must have been left alone.
        inline_rows: results of at most so many rows stand in the JSON file, besides the Parquet file.
        memory_mb: address space of the process that scores, in megabytes; no limit when not given.
        unit_price: of one scored row, as a decimal number; rows are counted without a price when not given.
        billing_url: of a gateway that charges, https; the built-in ledger alone when not given.
        billing_secret: ``${NAME}``, the variable of the environment that holds what the gateway knows us by.
        host: the address that the API listens on; beyond loopback every call needs a key.
        port: of the API.
        hosts: names under which the API may be called, besides addresses and the name of the machine.
        calls_per_minute: of one key; more are turned away.
        uploads: files that are received at once.
        upload_idle: seconds without a byte after which an upload is given up.
        wait_most: the longest that one call waits for results, in seconds.
        webhook_allow: networks such as ``10.0.0.0/8`` to which webhooks may go although they are not public.
        webhook_attempts: how often a webhook is sent that nobody takes.
    """

    spool: str = "spool"
    database: str | None = None
    alias: str = "production"
    shadow: str | None = None
    shadow_time_limit: float = 600.0
    slots: int = 2
    time_limit: float = 300.0
    max_bytes: int = 500_000_000
    max_rows: int = 5_000_000
    attempts: int = 5
    retry_seconds: float = 1.0
    retry_most_seconds: float = 60.0
    poll_seconds: float = 0.1
    settle_seconds: float = 2.0
    inline_rows: int = 1000
    memory_mb: int | None = None
    unit_price: str | None = None
    billing_url: str | None = None
    billing_secret: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()
    calls_per_minute: int = 600
    uploads: int = 8
    upload_idle: float = 30.0
    wait_most: float = 60.0
    webhook_allow: tuple[str, ...] = ()
    webhook_attempts: int = 10


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of corrida.toml.

    Attributes:
        store: folder of the runs, relative to the file.
        list_keys: names of the field that tells entries of a list in a configuration apart, tried in order.
        database: the table that runs are stamped onto.
        pipelines: named pipelines.
        gate: what a change must not make worse; see docs/gate.md.
        serve: how files are scored by the run in production; see docs/serving.md.
    """

    store: str | None = None
    list_keys: tuple[str, ...] = ()
    database: DatabaseSettings = DatabaseSettings()
    pipelines: dict[str, PipelineSettings] = {}
    gate: GateSettings = GateSettings()
    serve: ServeSettings = ServeSettings()

    def gate_rules(self, pipeline: str) -> tuple[GateRule, ...]:
        """Return the rules for the runs of a pipeline: its own, else those of the project."""
        own = self.pipelines[pipeline].gate if pipeline in self.pipelines else None
        return self.gate.rules if own is None else own.rules


class Project(msgspec.Struct, frozen=True):
    """A project: its folder, its settings, and where its runs are kept.

    Attributes:
        root: the folder that holds corrida.toml; the working folder without one.
        file: the settings file, or None.
        settings: what it says.
        store_folder: where runs are kept, absolute.
    """

    root: Path
    file: Path | None
    settings: Settings
    store_folder: Path

    def store(self) -> Store:
        """Open the store."""
        return Store(self.store_folder)


def find_project(start: Path | None = None, *, store: str | os.PathLike[str] | None = None) -> Project:
    """Find the project that ``start`` lies in.

    The store is, in this order: ``store``, the variable ``CORRIDA_DIR``, the setting ``store``, ``runs``.

    Args:
        start: a folder; the working folder when None.
        store: a folder that was named, relative to the working folder.

    Raises:
        InvalidConfig: the settings file cannot be read.
    """
    here = Path(start or Path.cwd()).absolute()
    file, settings = _find_settings(here)
    root = file.parent if file else here
    named = store if store is not None else os.environ.get(STORE_VARIABLE) or None
    if named is not None and not os.fspath(named):
        raise InvalidConfig("the store is an empty name; name a folder with --store")
    folder = Path.cwd() / named if named is not None else root / (settings.store or DEFAULT_FOLDER)
    return Project(root, file, settings, Path(os.path.normpath(folder)))


def _find_settings(here: Path) -> tuple[Path | None, Settings]:
    folder = ""
    while folder != (place := os.path.dirname(folder) if folder else os.fspath(here)):  # noqa: PTH120
        folder = place
        if os.path.isfile(own := os.path.join(folder, PROJECT_FILE)):  # noqa: PTH113, PTH118 - at each start
            return Path(own), read_settings(Path(own))
        if os.path.isfile(shared := os.path.join(folder, "pyproject.toml")):  # noqa: PTH113, PTH118
            tool = _load(Path(shared)).get("tool")
            section = tool.get("corrida") if isinstance(tool, dict) else None
            if section is not None:
                return Path(shared), _convert(Path(shared), section)
        if os.path.exists(os.path.join(folder, ".git")):  # noqa: PTH110, PTH118
            break  # a project does not reach beyond its repository
    return None, Settings()


def read_settings(file: Path) -> Settings:
    """Read a corrida.toml.

    Raises:
        InvalidConfig: it is not TOML, or holds an unknown or unusable key.
    """
    return _convert(file, _load(file))


def _load(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{file.name}: not valid TOML: {error}") from None
    except OSError as error:
        raise InvalidConfig(f"{file.name} cannot be read: {error.strerror}") from None


def _convert(file: Path, section: Any) -> Settings:
    if not isinstance(section, dict):
        raise InvalidConfig(f"{file.name}: [tool.corrida] must be a table")
    pipelines = section.get("pipelines", {})
    if not isinstance(pipelines, dict):
        raise InvalidConfig(f"{file.name}: pipelines is a table of tables, as in [pipelines.jobs]")
    found = {
        name: _convert_to(
            PipelineSettings,
            _with_gate(table, f"{file.name}:", f"pipelines.{name}."),
            f"{file.name}: [pipelines.{name}]",
        )
        for name, table in pipelines.items()
    }
    database = _convert_to(DatabaseSettings, section.get("database", {}), f"{file.name}: [database]")
    serve = _convert_to(ServeSettings, section.get("serve", {}), f"{file.name}: [serve]")
    _refuse_passwords(
        file,
        {
            "[database] url": [database.url or ""],
            "[serve] database": [serve.database or ""],
            "[serve] billing_url": [serve.billing_url or ""],
        },
    )
    if serve.billing_secret is not None and not _VARIABLE.fullmatch(serve.billing_secret):
        raise InvalidConfig(
            f"{file.name}: [serve] billing_secret must be ${{NAME}}; the secret itself belongs into that variable of the environment"
        )
    _refuse_passwords(file, {f"[pipelines.{name}] data": settings.data for name, settings in found.items()})
    whole = {**_with_gate(section, f"{file.name}:"), "database": database, "serve": serve, "pipelines": found}
    return _convert_to(Settings, whole, f"{file.name}:")


def _refuse_passwords(file: Path, addresses: Mapping[str, Sequence[str]]) -> None:
    """Refuse a password in the settings: git would keep it, and so would the runs that record what was not committed."""
    for place, texts in addresses.items():
        if any(without_password(text) != text for text in texts):
            raise InvalidConfig(
                f"{file.name}: {place} holds a password; put it into a variable of the environment and write "
                "${NAME} in its place, as in postgresql://me:${DB_PASSWORD}@host/jobs"
            )


def _with_gate(section: Any, where: str, name: str = "") -> Any:
    """Return a section with its gate read, so that an error names the rule."""
    if not isinstance(section, dict) or not isinstance(section.get("gate"), dict):
        return section
    gate = dict(section["gate"])
    if isinstance(gate.get("rules"), list):
        gate["rules"] = tuple(
            _rule(table, f"{where} [[{name}gate.rules]] {number}:")
            for number, table in enumerate(gate["rules"], 1)
        )
    return {**section, "gate": _convert_to(GateSettings, gate, f"{where} [{name}gate]")}


def _rule(table: Any, where: str) -> GateRule:
    rule = _convert_to(GateRule, table, where)
    try:
        return rule.check()
    except BadInput as error:
        raise InvalidConfig(f"{where} {error}") from None


def _convert_to(kind: type[S], table: Any, where: str) -> S:
    """Convert a table, and say in the words of TOML what is wrong with it."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        key = place.rstrip("`").replace("[...]", "")
        if "unknown field" in message:
            unknown = message.split("`")[1]
            import difflib

            near = difflib.get_close_matches(unknown, kind.__struct_fields__, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(kind.__struct_fields__)}"
            raise InvalidConfig(f"{where} unknown key {unknown!r}; {hint}") from None
        if "missing required field" in message:
            raise InvalidConfig(f"{where} the key {message.split('`')[1]} is missing") from None
        message = message.replace("Invalid enum value", "cannot be")
        for word, plain in _WORDS.items():
            message = message.replace(f"`{word}`", plain)
        message = message.replace(" | null", "").replace("Expected", "must be").replace(", got", ", not")
        raise InvalidConfig(f"{where} {key or 'the table'} {message}") from None
