"""Every command and option that reads, runs or marks."""

from __future__ import annotations

import json
import sys

import pytest


def test_run_records_what_was_asked_for(toy, corrida):
    (toy.root / "ids.txt").write_text("1\n2\n", encoding="utf-8")
    said = corrida(
        "run", "jobs", "--run-tag", "más rápido", "--source", "gold", "--description", "why", "--notes", "n",
        "--seed", 5, "--tag", "a=b", "--tag", "c=d=e", "--set", "x.y=[1, 2]", "--set", "z=text", "--items", "ids.txt",
        "--json",
    )  # fmt: skip
    run = said.json
    assert run["id"] == "run_mas_rapido"
    assert {k: run[k] for k in ("source", "description", "notes", "seed")} == {
        "source": "gold", "description": "why", "notes": "n", "seed": 5
    }  # fmt: skip
    assert run["tags"] == {"a": "b", "c": "d=e"}
    assert run["params"]["z"] == "text"
    assert run["item_counts"]["count"] == 2


def test_the_shape_of_list_json(toy, corrida):
    corrida("run", "jobs")
    (run,) = corrida("list", "--json").json
    assert {"id", "pipeline", "status", "created", "metrics"} <= set(run)
    assert str(toy.root) not in json.dumps(run)


def test_the_shape_of_compare_json(toy, corrida):
    corrida("run", "jobs")
    corrida("run", "jobs")
    whole = corrida("compare", "--latest", "--json").json
    assert {"verdict", "configs", "metrics", "items"} <= set(whole)
    assert whole["verdict"]["outcome"] == "tied"
    assert whole["verdict"]["metric"] == "precision"
    assert whole["items"]["same"] == 4


def test_list_filters_sorts_and_limits(toy, corrida):
    for number in range(4):
        corrida("run", "jobs", "--run-id", f"r{number}", "--seed", number)
    ids = lambda *more: [r["id"] for r in corrida("list", "--json", *more).json]  # noqa: E731
    assert ids("--filter", "seed >= 2") == ["r3", "r2"]
    assert ids("--sort", "seed", "-n", 2) == ["r0", "r1"]
    assert ids("--pipeline", "other") == []
    said = corrida("list", "--columns", "id,seed,metrics.precision", "-n", 1)
    assert said.out.splitlines()[0].split() == ["id", "seed", "precision"]
    assert "3 more" in said.out
    assert "no run fits" in corrida("list", "--pipeline", "other").err


def test_configs_are_those_of_the_command_line(toy, corrida):
    (toy.root / "other.json").write_text('{"rules": []}', encoding="utf-8")
    corrida("run", "jobs", "--config", "other.json", "--config", "other.json", "--run-id", "a")
    assert [c["origin"] for c in corrida("show", "a", "--json").json["configs"]] == ["other.json"]


def test_paths_count_from_where_the_user_stands(toy, corrida, monkeypatch):
    monkeypatch.chdir(toy.root / "config")
    corrida("run", "jobs", "--run-id", "a", "--config", "*.json", "--data", "../data/texts.csv")
    run = corrida("show", "a", "--json").json
    assert [c["origin"] for c in run["configs"]] == ["config/rules.json"]
    assert run["manifest"]["data"][0]["path"] == "data/texts.csv"
    assert (toy.root / "runs" / "a").is_dir()


def test_where_the_store_is(toy, corrida, monkeypatch, tmp_path):
    corrida("run", "jobs", "--run-id", "a", "--store", "given")
    assert (toy.root / "given" / "a").is_dir()
    monkeypatch.setenv("CORRIDA_DIR", str(tmp_path / "variable"))
    corrida("run", "jobs", "--run-id", "b")
    assert (tmp_path / "variable" / "b").is_dir()
    assert [r["id"] for r in corrida("list", "--json", "--store", "given").json] == ["a"]


def test_settings_in_pyproject(toy, corrida):
    text = (toy.root / "corrida.toml").read_text(encoding="utf-8")
    (toy.root / "corrida.toml").unlink()
    text = 'store = "kept"\n' + text
    (toy.root / "pyproject.toml").write_text(
        "[tool.corrida]\n" + text.replace("[pipelines.jobs]", "[tool.corrida.pipelines.jobs]"),
        encoding="utf-8",
    )
    corrida("run", "jobs", "--run-id", "a")
    assert (toy.root / "kept" / "a").is_dir()


def test_no_save_leaves_nothing(toy, corrida):
    said = corrida("run", "jobs", "--no-save")
    assert "nothing was kept" in said.out
    assert not (toy.root / "runs").exists()


def test_every_kind_of_reference(toy, corrida):
    for name in ("alpha", "beta"):
        corrida("run", "jobs", "--run-id", name)
    corrida("promote", "alpha", "--alias", "@good", "--reason", "it is")
    for text, expected in (("alpha", "alpha"), ("al", "alpha"), ("latest", "beta"), ("latest~1", "alpha"),
                           ("@good", "alpha"), ("runs/beta", "beta"), ("runs/beta/", "beta")):  # fmt: skip
        assert corrida("show", text, "--json").json["id"] == expected
    assert corrida("compare", "@good", "be", "--json").json["b"] == "beta"
    assert "alpha @good" in corrida("list").out


def test_marks(toy, corrida):
    for name in ("a", "b"):
        corrida("run", "jobs", "--run-id", name)
    corrida("note", "a", "two", "words")
    assert "two words" in corrida("list").out
    corrida("tag", "a", "k=v", "x=y")
    assert corrida("show", "a", "--json").json["tags"] == {"k": "v", "x": "y"}
    corrida("tag", "a", "k-")
    assert corrida("list", "--json", "--filter", "tags.x = 'y'").json[0]["tags"] == {"x": "y"}
    corrida("promote", "a")
    corrida("promote", "b")
    assert corrida("aliases", "--json").json[0]["run"] == "b"
    assert len(corrida("aliases", "--history", "--json").json) == 2
    assert "@production is a" in corrida("demote").out
    assert "@production" in corrida.refuses("rm", "a", code=1)
    corrida("verify")  # marks are no damage


def test_removal_and_trash(toy, corrida):
    for name in ("a", "b"):
        corrida("run", "jobs", "--run-id", name)
    corrida("rm", "a", "b")
    assert sorted(corrida("trash", "--json").json) == ["a", "b"]
    assert "trash --restore a" in corrida.refuses("show", "a")
    corrida("trash", "--restore", "a")
    assert "brought back b" in corrida("undo").out
    corrida("rm", "a")
    assert "add --yes" in corrida.refuses("trash", "--empty", code=1)
    corrida("trash", "--empty", "--yes")
    assert corrida("trash", "--json").json == []


def test_restore_previews_and_writes_elsewhere(toy, corrida):
    before = (toy.root / "config/rules.json").read_bytes()
    corrida("run", "jobs")
    toy.rules("1.2", [{"id": "R9", "word": "x", "answer": "Y"}])
    corrida("run", "jobs")
    plan = corrida("restore", "latest~1", "--dry-run", "--json").json
    assert plan["changes"] == 1
    assert "R9" in corrida("restore", "latest~1", "--dry-run").out
    corrida("restore", "latest~1", "--to", "there", "--yes")
    assert (toy.root / "there/config/rules.json").read_bytes() == before
    script = corrida.process("restore", "latest~1", input="")
    assert "undo" in script.stdout  # nobody is there to be asked, and undo takes it back
    assert (toy.root / "config/rules.json").read_bytes() == before
    corrida("undo")
    (toy.root / "config/rules.json").write_text("{}", encoding="utf-8")
    assert "saved nowhere" in corrida.refuses("restore", "latest~1", "--dry-run", code=1)
    corrida("restore", "latest~1", "--yes", "--force")
    corrida("undo")
    assert (toy.root / "config/rules.json").read_text(encoding="utf-8") == "{}"


def test_items(toy, corrida):
    corrida("run", "jobs")
    assert [r["item_id"] for r in corrida("items", "--wrong", "--json").json] == ["2", "3", "4"]
    assert [r["item_id"] for r in corrida("items", "--id", "1", "--id", "4", "--json").json] == ["1", "4"]
    said = corrida("items", "-n", 1, "--columns", "item_id,output")
    assert said.out.split() == ["item_id", "output", "1", "C", "…", "3", "more;", "-n", "4", "shows", "all"]
    (toy.root / "none_here.py").write_text("def work(): return {'a': 1}\n", encoding="utf-8")
    corrida("run", "none_here:work")
    assert corrida("items", "--json").json == []


def test_init(project, corrida):
    (project / "config").mkdir()
    (project / "config/a.json").write_text("{}", encoding="utf-8")
    (project / "work_of_init.py").write_text(
        "def work(data, config): return {'n': len(config)}\n", encoding="utf-8"
    )
    corrida("init", "--pipeline", "my.work", "--uses", "work_of_init:work", "--store", 'st"ore')
    corrida("run", "my.work", "--run-id", "a")
    assert (project / 'st"ore' / "a" / "config" / "a.json").exists()
    assert "already" in corrida.refuses("init")


def test_pipelines_of_the_user_in_three_ways(project, corrida, monkeypatch):
    (project / "three_ways.py").write_text(
        "import corrida\n"
        "class Own:\n"
        "    name = 'own'\n    description = 'an object'\n    columns = ()\n    primary_metric = 'f1'\n"
        "    directions = {}\n"
        "    def configure(self, files, overrides): return dict(overrides)\n"
        "    def data_files(self, config): return {}\n"
        "    def run(self, data, config, recorder):\n"
        "        recorder.log({'loss': 1}, step=1)\n        return corrida.Outcome(metrics={'f1': config['v']})\n"
        "own = Own()\n"
        "def function(data, config, recorder): return {'f1': config['v']}\n",
        encoding="utf-8",
    )
    dist = project / "three_ways-1.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: three-ways\nVersion: 1.0\n", encoding="utf-8"
    )
    (dist / "entry_points.txt").write_text(
        "[corrida.pipelines]\ninstalled = three_ways:own\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(project))
    for name in ("three_ways:own", "three_ways:Own", "three_ways:function", "installed"):
        run = corrida("run", name, "--set", "v=0.5", "--json").json
        assert run["metrics"] == {"f1": 0.5}
        assert run["pipeline"] == name
    known = {p["name"]: p for p in corrida("pipelines", "--json").json}
    assert known["installed"]["description"] == "an object"
    assert known["matching"]["origin"] == "built in"
    assert "installed" in corrida("pipelines").out


def test_index_verify_and_completion(toy, corrida):
    assert "no runs in runs/ yet; nothing was verified" in corrida("verify").out
    corrida("run", "jobs")
    assert "1 ended run" in corrida("index").out
    assert corrida("index", "--json").json == {"runs": 1, "changed": False}
    assert corrida("verify", "--json").json[0]["intact"] is True
    for shell in ("bash", "zsh", "fish"):
        assert "corrida" in corrida("completion", shell).out


@pytest.mark.parametrize("command", ["--help", "run --help", "compare -h", "--version"])
def test_help(corrida, command):
    assert "corrida" in corrida(*command.split()).out


def test_wrong_items_where_correct_is_text_or_numbers(toy, corrida):
    (toy.root / "odd_items.py").write_text(
        "import polars as pl\nfrom corrida import Outcome\n"
        "def table(**columns): return Outcome(metrics={}, items=pl.DataFrame({'item_id': ['1', '2', '3'], **columns}))\n"
        "def text(): return table(correct=['true', 'False', None])\n"
        "def number(): return table(correct=[1.0, 0.0, float('nan')])\n"
        "def answers(): return table(output=['a', 'b', 'c'], expected=['a', 'x', None])\n"
        "def strange(): return table(correct=['yes', 'maybe', 'no'])\n"
        "def nothing(): return table(output=['a', 'b', 'c'])\n",
        encoding="utf-8",
    )
    for name in ("text", "number", "answers"):
        corrida("run", f"odd_items:{name}")
        assert [r["item_id"] for r in corrida("items", "--wrong", "--json").json] == ["2"], name
        corrida("items")
    assert "'yes' in the column correct" in corrida.refuses("run", "odd_items:strange", code=1)
    corrida("run", "odd_items:nothing")
    assert "no column correct" in corrida.refuses("items", "--wrong")


def test_an_index_that_cannot_be_written_is_said(toy, corrida):
    corrida("run", "jobs")
    index = toy.root / "runs" / "index.json"
    index.write_text("{}", encoding="utf-8")
    assert "index.json written: 1 ended run" in corrida("index").out
    assert "index.json already right: 1 ended run" in corrida("index").out
    index.unlink()
    index.mkdir()
    assert "writing index.json" in corrida.refuses("index", code=1)


def test_a_run_that_has_not_ended_is_no_damage(toy, corrida):
    corrida("run", "jobs", "--run-id", "fine")
    (toy.root / "killed_two.py").write_text(
        "import os\ndef work(): os.kill(os.getpid(), 9)\n", encoding="utf-8"
    )
    corrida.process("run", "killed_two:work", "--run-id", "gone")
    said = corrida("verify").out
    assert "not ended: gone\n" in said
    assert "1 of 1 runs intact" in said
    assert {r["run"]: r["intact"] for r in corrida("verify", "--json").json} == {"fine": True, "gone": True}
    (toy.root / "runs/fine/metrics.json").unlink()
    said = corrida("verify", code=1).out
    assert "missing: metrics.json" in said
    assert "0 of 1 runs intact" in said


def test_children_whose_parent_is_not_shown_name_it(project, corrida):
    (project / "script.py").write_text(
        "import corrida\nwith corrida.start_run(run_id='inner'):\n    pass\n", encoding="utf-8"
    )
    corrida("exec", "--run-id", "outer", "--", sys.executable, "script.py")
    chosen = ("--filter", "id = 'inner'")
    header, row = corrida("list", *chosen).out.splitlines()[:2]
    assert header.split()[:2] == ["id", "parent"]
    assert row.split()[:2] == ["inner", "outer"]
    assert "outer" in corrida.terminal(60, "list", *chosen)
    assert "outer (+1)" in corrida("list", "-n", 1).out
    assert corrida("list").out.splitlines()[0].split()[:2] == ["id", "pipeline"]  # folded: nothing to name


def test_completion_takes_a_store_as_every_command_does(corrida):
    import click

    from corrida.cli.main import COMMANDS, cli

    assert "corrida" in corrida("completion", "bash", "--store", "x").out
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        parts = list(command.commands) if isinstance(command, click.Group) else [None]
        for part in parts:
            called = [name] if part is None else [name, part]
            assert "--store DIR" in corrida(*called, "--help").out, called
