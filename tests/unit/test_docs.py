"""The documentation says what is true: generated pages are fresh, and nothing that a user meets is left out."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from corrida.project import DatabaseSettings, PipelineSettings, Settings, find_project
from corrida.runs.query import FIELDS
from corrida.runs.run_file import RunFile

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def write_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "tools" / "write_docs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_line_page_is_what_the_program_says(write_docs: ModuleType) -> None:
    assert _read("docs/cli.md") == write_docs.cli_page(), "run `make docs`"


def test_the_python_page_is_what_the_docstrings_say(write_docs: ModuleType) -> None:
    page = write_docs.python_page()
    assert _read("docs/python.md") == page, "run `make docs`"
    assert "### Store.plan_restore" in page
    assert "### RunWriter.log_items" in page


def test_the_tour_in_the_readme_is_what_the_program_prints(write_docs: ModuleType) -> None:
    tour = re.search(r"<!-- tour -->\n(.*?)<!-- /tour -->", _read("README.md"), re.DOTALL)
    assert tour
    assert tour.group(1) == write_docs.tour(), "run `make docs`"


def _between(page: str, name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", page, re.DOTALL)
    assert found
    return found.group(1)


@pytest.mark.slow
def test_the_walk_through_of_verdicts_is_what_its_demo_prints(write_docs: ModuleType) -> None:
    walked = write_docs.walk()
    assert _between(_read("docs/verdicts.md"), "walk") == walked, "run `make docs`"
    assert walked.count("```console") == len(write_docs.WALK)


@pytest.mark.slow
def test_the_digits_of_verdicts_are_what_the_example_gives(write_docs: ModuleType) -> None:
    assert _between(_read("docs/verdicts.md"), "digits") == write_docs.digits(), "run `make docs`"


@pytest.mark.slow
def test_the_two_settings_of_the_digits_are_alike_over_many_splits() -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neighbors import KNeighborsClassifier

    shares: list[list[float]] = [[], []]
    images, digits = load_digits(return_X_y=True)
    for split in range(15):
        learn, test, wanted, truth = train_test_split(
            images, digits, test_size=0.5, stratify=digits, random_state=split
        )
        for setting, found in zip(((1, "uniform"), (3, "distance")), shares, strict=True):
            model = KNeighborsClassifier(setting[0], weights=setting[1]).fit(learn, wanted)
            found.append(float((model.predict(test) == truth).mean()))
    means = [sum(found) / len(found) for found in shares]
    assert "98.4 % of the time" in _read("docs/verdicts.md")
    assert [f"{mean:.3f}" for mean in means] == ["0.984", "0.984"]


def test_every_command_has_the_help_that_the_overview_says() -> None:
    import click

    from corrida.cli.main import COMMANDS, cli

    context = click.Context(cli)
    for name, entry in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert entry.help.endswith(".")
        inner = list(command.commands.values()) if isinstance(command, click.Group) else [command]
        for one in [command, *inner]:
            assert one.help, name
            for option in one.params:
                if isinstance(option, click.Option):
                    assert option.help, f"{name} {option.name}"
        for one in inner:
            takes = [o for p in one.params for o in p.opts]
            assert "--store" in takes or name in {"demo", "completion"}, (name, one.name)


@pytest.mark.parametrize("field", RunFile.__struct_fields__)
def test_every_field_of_run_json_is_described(field: str) -> None:
    assert f"`{field}`" in _read("docs/run-folder.md")


def test_every_name_of_the_layout_is_described() -> None:
    from corrida.runs import layout

    page = _read("docs/run-folder.md")
    for name in layout.OWN_FILES | {layout.INDEX, layout.ALIASES, layout.CONFIG_DIR, layout.ITEM_PARTS}:
        assert name in page, name


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_of_filters_is_described(field: str) -> None:
    assert f"`{field}`" in _read("docs/filters.md")


@pytest.mark.parametrize(
    "key",
    [
        *Settings.__struct_fields__,
        *PipelineSettings.__struct_fields__,
        *DatabaseSettings.__struct_fields__,
    ],
)
def test_every_key_of_corrida_toml_is_described(key: str) -> None:
    example = re.search(r"```toml\n(.*?)```", _read("docs/concepts.md"), re.DOTALL)
    assert example
    document = tomllib.loads(example.group(1))
    found = {*document, *document["pipelines"]["jobs"], *document["database"]}
    # One line would be a lie in the example: a pipeline has its description in the run.
    assert key in found or key == "description"


def test_the_example_of_corrida_toml_is_read(project: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", _read("docs/concepts.md"), re.DOTALL)
    assert example
    (project / "corrida.toml").write_text(example.group(1), encoding="utf-8")
    assert find_project().settings.pipelines["jobs"].set == {"threshold": 0.5}


def test_the_filters_in_the_docs_can_be_read() -> None:
    from corrida.runs.query import compile_filter

    examples = re.search(r"```text\n(.*?)```", _read("docs/filters.md"), re.DOTALL)
    assert examples
    lines = examples.group(1).strip().splitlines()
    assert len(lines) > 3
    assert all(compile_filter(line).text for line in lines)


def test_the_python_of_the_readme_runs(project: Path) -> None:
    (project / "config").mkdir()
    (project / "config" / "rules.json").write_text('{"version": "1.1"}', encoding="utf-8")
    (project / "offers.csv").write_text("id,title\na,cook\n", encoding="utf-8")
    (project / "plot.png").write_bytes(b"\x89PNG")
    block = re.search(r"## From Python\n+```python\n(.*?)```", _read("README.md"), re.DOTALL)
    assert block
    once = 'import corrida\nwith corrida.start_run(pipeline="jobs"):\n    pass\n'
    (project / "tour.py").write_text(once + block.group(1), encoding="utf-8")
    done = subprocess.run([sys.executable, "tour.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "precision" in done.stdout


def test_the_pipeline_of_the_concepts_page_runs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from corrida.cli.main import run_cli

    block = re.search(r"```python\n(# evaluate\.py.*?)```", _read("docs/concepts.md"), re.DOTALL)
    assert block
    (project / "evaluate.py").write_text(block.group(1), encoding="utf-8")
    (project / "answers.csv").write_text("answer,gold\na,a\nb,a\n", encoding="utf-8")
    settings = '[pipelines.mine]\nuses = "evaluate:run"\ndata = ["answers.csv"]\n'
    (project / "corrida.toml").write_text(settings, encoding="utf-8")
    assert run_cli(["run", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == {"accuracy": 0.5}


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
