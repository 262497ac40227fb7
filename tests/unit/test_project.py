"""Which store and which settings: corrida.toml, pyproject.toml, the environment, flags."""

from __future__ import annotations

import pytest

from corrida.errors import InvalidConfig
from corrida.project import find_project


def test_without_settings_the_working_folder_is_the_project(project):
    found = find_project()
    assert (found.root, found.file, found.store_folder) == (project, None, project / "runs")


def test_who_names_the_store_first(project, monkeypatch):
    (project / "corrida.toml").write_text('store = "from_file"')
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    assert find_project().store_folder == project / "from_file"
    monkeypatch.setenv("CORRIDA_DIR", "from_env")
    assert find_project().store_folder == project / "sub" / "from_env"
    assert find_project(store="flag").store_folder == project / "sub" / "flag"
    assert find_project(store=project / "x" / ".." / "y").store_folder == project / "y"
    monkeypatch.setenv("CORRIDA_DIR", "")
    assert find_project().store_folder == project / "from_file"
    with pytest.raises(InvalidConfig, match="empty"):
        find_project(store="")


def test_the_search_goes_up_to_the_top_of_the_repository(project, monkeypatch):
    (project / "corrida.toml").write_text("")
    (project / "repo" / "deep").mkdir(parents=True)
    monkeypatch.chdir(project / "repo" / "deep")
    assert find_project().root == project
    (project / "repo" / ".git").mkdir()
    assert find_project().root == project / "repo" / "deep"
    (project / "repo" / "pyproject.toml").write_text('[tool.corrida]\nstore = "s"')
    assert find_project().store_folder == project / "repo" / "s"
    (project / "repo" / "corrida.toml").write_text('store = "t"')
    assert find_project().store_folder == project / "repo" / "t"
    (project / "repo" / "deep" / "pyproject.toml").write_text("[project]\nname = 'x'")
    assert find_project().root == project / "repo"


def test_pipelines(project):
    (project / "corrida.toml").write_bytes(
        b'\xef\xbb\xbf[pipelines.jobs]\nuses = "matching"\nconfigs = ["config/*.json"]\nseed = 7\nset = {a = 1}\ndirection = "min"'
    )
    jobs = find_project().settings.pipelines["jobs"]
    assert (jobs.uses, jobs.configs, jobs.seed, jobs.set, jobs.direction) == (
        "matching",
        ("config/*.json",),
        7,
        {"a": 1},
        "min",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stor = 'x'", "did you mean store"),
        ("[pipelines.jobs]\nconfig = ['x']", "did you mean configs"),
        ("[pipelines.jobs]\ndirection = 'up'", "direction"),
        ("store = 5", "store"),
        ("store = ", "not valid TOML"),
        ("store = 'a'\nstore = 'b'", "not valid TOML"),
        ("pipelines = ['x']", "pipelines"),
        ("[pipelines.jobs]\nseed = 'x'", "seed"),
    ],
)
def test_what_cannot_be_used_is_named(project, text, said):
    (project / "corrida.toml").write_text(text)
    with pytest.raises(InvalidConfig, match=said) as caught:
        find_project()
    assert "corrida.toml" in str(caught.value)


@pytest.mark.parametrize("text", ["tool = 5", "[tool]\ncorrida = 5", "[[tool]]\nx = 1", "x = \xff"])
def test_a_pyproject_that_is_odd_gives_an_error_or_nothing(project, text):
    (project / "pyproject.toml").write_bytes(text.encode("latin-1"))
    try:
        find_project()
    except InvalidConfig as error:
        assert "pyproject.toml" in str(error)  # noqa: PT017
