"""Synthetic transactions: ordinary life, and schemes hidden in it.

All of it is made up and follows from the seed alone; nothing follows from it for real people. Every id begins with ``SYN``, and a
column says ``sintetico``. The true class is known by construction: what was planted, or what the limits of the law say, whichever is
the graver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from corrida.errors import BadInput
from corrida.pipelines.risk.features import learn_categories, ordered
from corrida.pipelines.risk.guardrails import Law, default_guardrails
from corrida.pipelines.risk.settings import CLASSES
from corrida.pipelines.risk.windows import DAY
from corrida.runs.files import atomic_write, explained

if TYPE_CHECKING:
    from pathlib import Path

_START: Final = 1_735_689_600  # 1 January 2025
_LIMPIO, _INUSUAL, _PREOCUPANTE = 0, 2, 3
ORIGIN: Final = "sintetico"


@dataclass(frozen=True)
class Shape:
    """What the transactions are like.

    Attributes:
        clients: how many.
        days: from 1 January 2025 on.
        schemes: share of the clients with a scheme, 0 to 1.
        noise: share of the planted transactions whose label says nothing of it, 0 to 1: people overlook things.
    """

    clients: int = 260
    days: int = 240
    schemes: float = 0.22
    noise: float = 0.03

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            BadInput: a number is out of its range.
        """
        if self.clients < 1 or not 30 <= self.days <= 700:
            raise BadInput(
                f"a generated file has 1 client or more and 30 to 700 days, not {self.clients} and {self.days}"
            )
        for name in ("schemes", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} is a share from 0 to 1, not {getattr(self, name)}")


def generate_transactions(seed: int, shape: Shape | None = None) -> pl.DataFrame:
    """Make transactions; the same seed and shape give the same ones.

    Args:
        seed: of all that is drawn. It stands in the ids, as clients of another seed are other clients.
        shape: how many, and the shares.

    Returns:
        ``transaccion_id``, ``cliente_id``, ``monto`` (pesos), ``fecha`` (with a time), ``tipo_operacion``, ``sector_actividad``,
        ``origen`` (always ``sintetico``), ``planteado`` (the scheme, or ``vida ordinaria``) and ``clasificacion``, in the order of time.
    """
    shape = shape or Shape()
    draw = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    for number in range(shape.clients):
        client = f"SYN{seed}-{number:05d}"
        rows += _ordinary_life(client, draw, shape.days)
        if draw.random() < shape.schemes:
            scheme = (_structuring, _fan_in, _cash_burst)[int(draw.integers(3))]
            rows += scheme(client, draw, shape.days)
    frame = pl.DataFrame(
        rows,
        schema=["client", "cents", "seconds", "operation", "sector", "planted", "level"],
        orient="row",
    ).sort("seconds", "client", maintain_order=True)
    overlooked = draw.random(frame.height) < shape.noise
    level = np.where(overlooked, _LIMPIO, frame["level"].to_numpy())
    level = np.maximum(level, _by_law(frame))
    return frame.select(
        pl.format("SYN{}-T{}", pl.lit(seed), pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(7)).alias("transaccion_id"),
        pl.col("client").alias("cliente_id"),
        pl.Series(frame["cents"].to_numpy() / 100).alias("monto"),  # polars' own division is off in the last digit
        pl.from_epoch("seconds").dt.strftime("%Y-%m-%dT%H:%M:%S").alias("fecha"),
        pl.col("operation").alias("tipo_operacion"),
        pl.col("sector").alias("sector_actividad"),
        pl.lit(ORIGIN).alias("origen"),
        pl.col("planted").alias("planteado"),
        pl.Series(np.array(CLASSES)[level]).alias("clasificacion"),
    )  # fmt: skip


def write_transactions(frame: pl.DataFrame, file: Path, *, labels: bool = True) -> None:
    """Write transactions as CSV, which is replaced as a whole if it is there.

    Args:
        frame: of :func:`generate_transactions`.
        file: whose folder is made where it is missing.
        labels: with the true class and what was planted; without them it is a file to be scored.

    Raises:
        StoreError: the file cannot be written.
    """
    kept = frame if labels else frame.drop("clasificacion", "planteado")
    with explained(f"writing {file.name}", "choose another folder"):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, kept.write_csv().encode())


def _ordinary_life(client: str, draw: np.random.Generator, days: int) -> list[tuple[Any, ...]]:
    """Salary, rent, shopping by card and sometimes in cash, and once in a while something dear."""
    rows = []
    salary, payday = float(draw.lognormal(9.7, 0.45)), int(draw.integers(1, 28))
    for month in range(days // 30 + 1):
        rows.append(_row(client, draw, month * 30 + payday, salary, "transferencia", "nomina", hours=(6, 10)))
        rows.append(
            _row(client, draw, month * 30 + 2, salary * 0.3, "transferencia", "servicios", hours=(8, 20))
        )
    pace = float(draw.uniform(0.08, 0.35))
    for day in np.flatnonzero(draw.random(days) < pace).tolist():
        cash = draw.random() < 0.25
        rows.append(
            _row(
                client,
                draw,
                day,
                float(draw.lognormal(6.4, 0.8)),
                "efectivo" if cash else "tarjeta",
                "comercio",
            )
        )
    rows += [_dear(client, draw, int(draw.integers(days))) for _ in range(int(draw.poisson(2.0)))]
    return rows


def _dear(client: str, draw: np.random.Generator, day: int) -> tuple[Any, ...]:
    """Return something dear that people buy: a car, jewellery, a trip, a house."""
    kind = draw.random()
    if kind < 0.4:
        return _row(client, draw, day, float(draw.uniform(200_000, 700_000)), "transferencia", "automotriz")
    if kind < 0.7:
        return _row(client, draw, day, float(draw.uniform(20_000, 150_000)), "tarjeta", "joyeria")
    if kind < 0.9:
        return _row(client, draw, day, float(draw.uniform(20_000, 90_000)), "tarjeta", "viajes")
    return _row(client, draw, day, float(draw.uniform(500_000, 4_000_000)), "transferencia", "inmobiliaria")


def _structuring(client: str, draw: np.random.Generator, days: int) -> list[tuple[Any, ...]]:
    """Cash for jewellery, each payment just below the limit of identification."""
    start, count = int(draw.integers(days - 25)), int(draw.integers(4, 10))
    return [
        _row(client, draw, start + i * int(draw.integers(1, 4)), float(draw.uniform(72_000, 90_500)), "efectivo", "joyeria",
             planted="fraccionamiento", level=_PREOCUPANTE)
        for i in range(count)
    ]  # fmt: skip


def _fan_in(client: str, draw: np.random.Generator, days: int) -> list[tuple[Any, ...]]:
    """Many transfers come in within days, and what they brought goes out at once."""
    start, count = int(draw.integers(days - 8)), int(draw.integers(8, 20))
    amounts = draw.uniform(6_000, 32_000, count)
    rows = [
        _row(client, draw, start + int(draw.integers(5)), float(amount), "transferencia", "servicios",
             planted="concentracion", level=_INUSUAL)
        for amount in amounts
    ]  # fmt: skip
    rows.append(
        _row(client, draw, start + 6, float(amounts.sum() * 0.96), "transferencia_internacional", "servicios",
             planted="concentracion", level=_INUSUAL)
    )  # fmt: skip
    return rows


def _cash_burst(client: str, draw: np.random.Generator, days: int) -> list[tuple[Any, ...]]:
    """Cash again and again within days, in whole thousands, often at night."""
    start, count = int(draw.integers(days - 5)), int(draw.integers(6, 13))
    return [
        _row(client, draw, start + int(draw.integers(4)), float(draw.integers(18, 80) * 1000), "efectivo", "comercio",
             hours=(0, 24), planted="rafaga de efectivo", level=_INUSUAL)
        for _ in range(count)
    ]  # fmt: skip


def _row(
    client: str,
    draw: np.random.Generator,
    day: int,
    amount: float,
    operation: str,
    sector: str,
    *,
    hours: tuple[int, int] = (8, 22),
    planted: str = "vida ordinaria",
    level: int = _LIMPIO,
) -> tuple[Any, ...]:
    second = _START + day * DAY + int(draw.integers(hours[0] * 3600, hours[1] * 3600))
    return client, round(amount * 100), second, operation, sector, planted, level


def _by_law(frame: pl.DataFrame) -> Any:
    """Return the level that the limits of the law give by themselves."""
    plain = frame.with_columns(
        pl.lit(None, dtype=pl.String).alias("section"), pl.lit(value=True).alias("timed")
    )
    found = ordered(plain, Law(default_guardrails()), learn_categories(plain))
    level = np.zeros(frame.height, dtype=np.int64)
    level[found.rows] = np.where(found.checked.forbids, 3, np.where(found.checked.identified, 1, 0))
    return level
