"""What putting configurations back would change, as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corrida.analysis.blocks import Block, Line
from corrida.analysis.config_diff import diff_configs, explain

if TYPE_CHECKING:
    from corrida.runs.restore import RestorePlan


def plan_blocks(plan: RestorePlan) -> list[Block]:
    """Return what would change, file by file and by meaning."""
    changed = [
        f for f in plan.files if f.state in {"changed", "missing"} or (f.state == "extra" and plan.exact)
    ]
    same = sum(f.state == "same" for f in plan.files)
    blocks: list[Block] = [Line(f"restore {plan.run}", "strong")]
    before = {f.path: f.old for f in changed if f.old is not None}
    after = {f.path: f.new for f in changed if f.new is not None}
    for file in diff_configs(before, after).files:
        for number, line in enumerate(explain(file)):
            blocks.append(Line(line, "plain", 1 if number == 0 else 2))
        if file.status == "reformatted":
            blocks.append(Line("the same meaning, other bytes", "quiet", 2))
    blocks += [
        Line(f"{f.path} was not there then; it stays (--exact removes it)", "warning", 1)
        for f in plan.files
        if f.state == "extra" and not plan.exact
    ]
    if same:
        blocks.append(Line(f"{same} file{'s' if same > 1 else ''} already as in the run", "quiet", 1))
    if not plan.files:
        blocks.append(Line("the run has no configuration files", "quiet", 1))
    return blocks
