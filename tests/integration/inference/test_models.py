"""A promoted run that is not what it was: it is not used, its code is not executed, and everybody is told why."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil

import pytest

from corrida.inference.models import check_models, resolve_model
from corrida.inference.problems import problem_of
from corrida.inference.scoring import load_scorer


class Forged:
    """A pickle that writes a file when it is read."""

    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return (os.mkdir, (self.place,))


def resealed(folder):
    """Write run.json as if the files had always been what they are now, with a seal that fits."""
    place = folder / "run.json"
    content = json.loads(place.read_text(encoding="utf-8"))
    del content["seal"]
    content["files"] = {name: one for name, one in content["files"].items() if not name.startswith("models/")}
    for path in (folder / "models").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            entry = {"size": len(data), "sha256": f"sha256:{hashlib.sha256(data).hexdigest()}"}
            content["files"][path.relative_to(folder).as_posix()] = entry
    body = json.dumps(content, indent=2, ensure_ascii=False)
    seal = hashlib.sha256(f"{body}\n".encode()).hexdigest()
    place.write_text(f'{body[:-2]},\n  "seal": "sha256:{seal}"\n}}\n', encoding="utf-8")


def model_file(folder):
    return folder / "models" / "mean" / "mean.json"


def flipped(folder, root):
    path = model_file(folder)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def pickled(folder, root):
    model_file(folder).write_bytes(pickle.dumps(Forged(root / "forged")))


def pickled_and_resealed(folder, root):
    pickled(folder, root)
    resealed(folder)


def other_pipeline(folder, root):
    """Name other code as the pipeline of the run."""
    (root / "evil.py").write_text("import os; os.mkdir('forged')\npipeline = None\n", encoding="utf-8")
    place = folder / "run.json"
    place.write_text(
        place.read_text(encoding="utf-8").replace("distance:pipeline", "evil:pipeline"), encoding="utf-8"
    )


def linked(folder, root):
    """The same content, but from elsewhere, where it may change at any time."""
    path = model_file(folder)
    shutil.copy(path, root / "elsewhere.json")
    path.unlink()
    path.symlink_to(root / "elsewhere.json")


def linked_folder(folder, root):
    shutil.move(folder / "models", root / "elsewhere")
    (folder / "models").symlink_to(root / "elsewhere", target_is_directory=True)


def added(folder, root):
    (folder / "models" / "mean" / "model.pickle").write_bytes(pickle.dumps(Forged(root / "forged")))


def lost(folder, root):
    model_file(folder).unlink()


def without_models(folder, root):
    shutil.rmtree(folder / "models")


def gone(folder, root):
    shutil.rmtree(folder)


def edited_alias(folder, root):
    place = folder.parent / "aliases.jsonl"
    place.write_text(
        place.read_text(encoding="utf-8").replace('"run":"one"', '"run":"nobody"'), encoding="utf-8"
    )


ALTERATIONS = [
    (flipped, "model_damaged", "models/mean/mean.json was altered since it was trained"),
    (pickled, "model_damaged", "models/mean/mean.json was altered since it was trained"),
    (pickled_and_resealed, "model_damaged", "the run one was altered since it was promoted"),
    (other_pipeline, "model_damaged", "run.json was altered since"),
    (linked, "model_damaged", "models/mean/mean.json is a link"),
    (linked_folder, "model_damaged", "models is a link"),
    (added, "model_damaged", "models/mean/model.pickle was put there since it was trained"),
    (lost, "model_damaged", "models/mean/mean.json is missing"),
    (without_models, "model_damaged", "the run one holds no models; promote one that does"),
    (gone, "no_model", "one"),
    (edited_alias, "no_model", "nobody"),
]


@pytest.mark.parametrize(
    ("alter", "code", "sentence"), ALTERATIONS, ids=lambda one: getattr(one, "__name__", None)
)
def test_an_altered_run_is_refused_without_a_path_and_before_any_of_it_runs(small, alter, code, sentence):
    folder = small.root / "runs" / "one"
    alter(folder, small.root)
    with pytest.raises(Exception) as caught:
        load_scorer(resolve_model(small.root / "runs", "@production"), small.root)
    problem = problem_of(caught.value, hide=(folder, small.root))
    assert (problem.code, problem.may_pass) == (code, False)
    assert sentence in problem.message
    assert not re.search(r"(/\w+){2}", problem.message.replace("models/mean/", ""))
    assert not (small.root / "forged").exists()


@pytest.mark.slow
def test_jobs_fail_at_once_while_a_worker_serves_and_go_on_with_another_run(small, corrida):
    small.settings(slots=1)
    small.worker()
    small.submit("before", "1,")
    assert small.ended("before") == ["processed"]
    folder = small.root / "runs" / "one"
    shutil.copytree(folder, small.root / "copy")
    pickled_and_resealed(folder, small.root)
    small.submit("forged", "1,")
    assert small.ended("forged") == ["failed"]
    shutil.rmtree(folder)
    small.submit("gone", "1,")
    assert small.ended("gone") == ["failed"]
    corrida("demote")
    small.submit("nowhere", "1,")
    assert small.ended("nowhere") == ["failed"]
    corrida("promote", "two")
    small.submit("two", "1,")
    assert small.ended("two") == ["processed"]
    shutil.copytree(small.root / "copy", folder)
    corrida("promote", "one")
    assert corrida("jobs", "forged", "--retry").code == 0
    assert small.ended("forged") == ["processed"]
    assert not (small.root / "forged").exists()
    for name in ("gone", "nowhere"):
        error = json.loads(
            (small.root / "spool" / "failed" / f"{name}_error.json").read_text(encoding="utf-8")
        )
        assert error["error"]["code"] == "no_model"
        assert str(small.root) not in json.dumps(error)
        assert small.service.jobs.get(name).tries == 1


def test_what_was_altered_is_not_promoted(small, corrida):
    flipped(small.root / "runs" / "two", small.root)
    assert "mean.json of the run two was altered" in corrida.refuses("promote", "two", code=1)
    assert corrida("aliases", "--json").json[0]["run"] == "one"


def test_a_promotion_says_which_state_of_the_run_it_means_also_on_the_way_back(small, corrida):
    seal = json.loads((small.root / "runs" / "one" / "run.json").read_text(encoding="utf-8"))["seal"]
    corrida("promote", "two")
    corrida("demote")
    lines = [json.loads(line) for line in (small.root / "runs" / "aliases.jsonl").read_text().splitlines()]
    assert [line["digest"] for line in lines if line["run"] == "one"] == [seal, seal]
    check_models(resolve_model(small.root / "runs", "@production"))
