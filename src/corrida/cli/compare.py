"""``corrida compare``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from corrida.cli.common import json_option, open_project, print_json, say, show_blocks, store_option

if TYPE_CHECKING:
    from corrida.analysis.gate import GateResult
    from corrida.project import Settings
    from corrida.runs.record import RunRecord


@click.command()
@click.argument("a", required=False)
@click.argument("b", required=False)
@click.option("--latest", is_flag=True, help="The last two finished runs of one pipeline (the default).")
@click.option("--pipeline", metavar="NAME", help="With --latest: of this pipeline.")
@click.option(
    "--metric", "metrics", metavar="NAME", multiple=True, help="The metric that decides; may be repeated."
)
@click.option(
    "--cluster",
    metavar="COLUMN",
    help="Items with one value in this column belong together; none takes each alone [default: as both runs say].",
)
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Of the intervals, between 0 and 1."
)
@click.option(
    "--margin", type=float, help="Differences inside ± this do not matter [default: 0.01, or 1 % of a loss]."
)
@click.option(
    "--resamples", type=int, default=10_000, show_default=True, help="Of bootstrap and randomization."
)
@click.option(
    "--slices",
    metavar="COLUMN",
    multiple=True,
    help="Test segments of the items by this column; A,B combines two; auto takes all; repeatable.",
)
@click.option(
    "--slice-min",
    type=click.IntRange(2),
    default=20,
    show_default=True,
    help="With --slices: the least items of a segment.",
)
@click.option(
    "--gate", is_flag=True, help="Exit 1 when B drops below A further than the rules allow; see docs/gate.md."
)
@click.option(
    "--max-drop", metavar="NUMBER|%", help="With --gate: how far --metric may drop, such as 0.01 or 1%."
)
@click.option(
    "--on-doubt",
    type=click.Choice(["pass", "fail"]),
    default="fail",
    show_default=True,
    help="With --gate: what it counts as when a drop is neither certain nor excluded.",
)
@click.option("--shared-items", is_flag=True, help="With --gate: items that only one run has are no doubt.")
@click.option(
    "--slices-max-drop", metavar="NUMBER|%", help="With --gate and --slices: how far a segment may drop."
)
@click.option("--only-changed", is_flag=True, help="Leave out what is the same.")
@click.option(
    "--items",
    "item_count",
    type=click.IntRange(0),
    default=12,
    show_default=True,
    help="Items to list; 0 for all.",
)
@click.option(
    "--details", is_flag=True, help="Every change of a configuration on a line of its own; all metrics."
)
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown, as for a pull request.")
@json_option
@store_option
def compare(
    a: str | None, b: str | None, *, latest: bool, pipeline: str | None, metrics: tuple[str, ...],
    cluster: str | None, confidence: float, margin: float | None, resamples: int, slices: tuple[str, ...],
    slice_min: int, gate: bool, max_drop: str | None, on_doubt: Literal["pass", "fail"], shared_items: bool,
    slices_max_drop: str | None, only_changed: bool, item_count: int, details: bool, as_markdown: bool, as_json: bool,
    store: str | None,
) -> int:  # fmt: skip
    """Compare run A with run B: configurations by meaning, metrics, items, data and environment.

    With one run, it is compared with the finished run of its pipeline before it; with none, the last two are. Parts of
    other runs, such as the models of a search, count only where they are named.
    """
    from corrida.analysis.compare import compare_runs
    from corrida.analysis.metric_tests import VerdictOptions
    from corrida.analysis.run_pairs import runs_to_compare

    if as_markdown and as_json:
        raise click.UsageError("give --md or --json, not both")
    if a and latest:
        raise click.UsageError("give two runs, or --latest, not both")
    _refuse_idle_options(gate=gate)
    project = open_project(store)
    opened = project.store()
    before, after = runs_to_compare(opened, a, b, pipeline)
    keys = project.settings.list_keys
    judged: GateResult | None = None
    if gate:
        judged = _judge(
            before, after, project.settings, metrics, max_drop, confidence=confidence, on_doubt=on_doubt,
            cluster=cluster, shared_items=shared_items, slices=slices, slices_max_drop=slices_max_drop,
        )  # fmt: skip
        comparison = judged.comparison
    else:
        options = VerdictOptions(confidence=confidence, margin=margin, resamples=resamples, cluster=cluster)
        comparison = compare_runs(
            before, after, metric=metrics, list_keys=keys, options=options, slices=slices, slice_min=slice_min
        )
    if as_json:
        found = comparison.to_json()
        print_json(found if judged is None else {"gate": judged.to_json(), **found})
    elif as_markdown:
        if judged is not None:
            say(f"{judged.to_markdown()}\n", nl=False)
        say(comparison.to_markdown(only_changed=only_changed, items=item_count), nl=False)
    else:
        from corrida.analysis.blocks import Heading
        from corrida.analysis.compare_report import comparison_blocks

        blocks = comparison_blocks(comparison, only_changed=only_changed, items=item_count, details=details)
        if judged is not None:
            from corrida.analysis.gate_report import gate_blocks

            blocks = [*gate_blocks(judged), Heading("Comparison"), *blocks]
        show_blocks(blocks)
    return 0 if judged is None or judged.passed else 1


# Options that say nothing with --gate, without it, and where the rules are those of corrida.toml.
_NOT_WITH_GATE = ("margin", "resamples", "slice_min")
_ONLY_WITH_GATE = ("max_drop", "on_doubt", "shared_items", "slices_max_drop")
_OF_A_RULE = ("confidence", "cluster", "on_doubt", "shared_items", "slices", "slices_max_drop")


def _refuse_idle_options(*, gate: bool) -> None:
    context = click.get_current_context()

    def given(names: Iterable[str]) -> str:
        found = [n for n in names if context.get_parameter_source(n) is ParameterSource.COMMANDLINE]
        return ", ".join(f"--{name.replace('_', '-')}" for name in found)

    if not gate:
        if idle := given(_ONLY_WITH_GATE):
            raise click.UsageError(f"{idle}: only with --gate")
        return
    if idle := given(_NOT_WITH_GATE):
        raise click.UsageError(f"{idle}: not with --gate, whose rule is how far a metric may drop")
    if not given(("metrics", "max_drop")) and (idle := given(_OF_A_RULE)):
        raise click.UsageError(
            f"{idle}: part of a rule, so give --metric and --max-drop too; the rules of corrida.toml have their own"
        )


def _judge(
    before: RunRecord,
    after: RunRecord,
    settings: Settings,
    metrics: tuple[str, ...],
    max_drop: str | None,
    **options: Any,
) -> GateResult:
    """Judge B by the rule on the command line, else by those of corrida.toml."""
    from corrida.analysis.gate import NO_RULES, check_rules, rules_of
    from corrida.errors import BadInput

    if metrics or max_drop is not None:
        rules = rules_of(before, after, metrics, max_drop, **options)
    else:
        rules = settings.gate_rules(after.pipeline)
        if not rules:
            raise BadInput(NO_RULES)
    return check_rules(before, after, rules, list_keys=settings.list_keys)
