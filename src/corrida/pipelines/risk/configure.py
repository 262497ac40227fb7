"""From configuration files and overrides to a checked :class:`RiskConfig`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from corrida.errors import InvalidConfig, MissingExtra
from corrida.pipelines.contract import ConfigFile
from corrida.pipelines.conversion import convert
from corrida.pipelines.registry import merge_configs
from corrida.pipelines.risk.guardrails import check_guardrails
from corrida.pipelines.risk.settings import ALARMS, RiskConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ABOUT = ("version", "description")  # a file of settings may say of itself what it is
_LAW = frozenset({"uma", "activities"})


def configure(files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> RiskConfig:
    """Build the configuration; later files win over earlier ones, and overrides over all.

    A file that holds ``uma`` or ``activities`` at its top is the limits of the law.

    Raises:
        InvalidConfig: naming the file, the place and the mend.
        MissingExtra: scikit-learn or skops is not installed.
    """
    placed = []
    for file in files:
        content = file.content
        if isinstance(content, dict) and not _LAW.isdisjoint(content):
            content = {"guardrails": content}
        elif isinstance(content, dict):
            content = {key: value for key, value in content.items() if key not in _ABOUT}
        placed.append(ConfigFile(file.path, content))
    merged = merge_configs(placed, overrides)
    path = files[-1].path if len(files) == 1 and not overrides else _origin(placed, overrides)
    config: RiskConfig = convert(merged, RiskConfig, path)
    _check(config)
    if find_spec("sklearn") is None or find_spec("skops") is None:
        raise MissingExtra("the risk pipeline needs scikit-learn and skops; pip install 'corrida[risk]'")
    return config


def _origin(files: Sequence[ConfigFile], overrides: Mapping[str, Any]) -> str:
    named = [file.path for file in files] + (["--set"] if overrides else [])
    return " and ".join(named) or "the settings"


def _check(config: RiskConfig) -> None:
    check_guardrails(config.guardrails)
    if config.split.test + config.split.calibration >= 0.9:
        raise InvalidConfig(
            "split: test and calibration together leave less than a tenth to learn from; lower one of them."
        )
    if config.thresholds.low >= config.thresholds.high:
        raise InvalidConfig(
            f"thresholds: low ({config.thresholds.low:g}) must be less than high ({config.thresholds.high:g})."
        )
    for alarm in ALARMS:
        costs = getattr(config.thresholds, alarm)
        if not costs.missed and not costs.false_alarm:
            raise InvalidConfig(
                f"thresholds.{alarm}: neither a missed nor a false alarm costs anything; set a cost."
            )
