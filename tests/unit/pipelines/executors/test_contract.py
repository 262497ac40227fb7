"""What every executor promises, asked of each: in this process, in processes, and on a real Ray of this machine."""

from __future__ import annotations

import time

import pytest

from corrida.errors import WorkerDied
from corrida.pipelines.executors import open_executor


@pytest.fixture(scope="module", params=["serial", "local", "ray"])
def executor(request, functions):
    with open_executor(request.param, 2) as opened:
        yield opened


@pytest.fixture(scope="module", params=["local", "ray"])
def workers(request, functions):
    with open_executor(request.param, 2) as opened:
        yield opened


def by_index(found):
    return {done.index: done for done in found}


def test_every_task_gives_its_result(executor, functions):
    found = by_index(executor.run(functions.square, range(7)))
    assert {index: done.result for index, done in found.items()} == {i: i * i for i in range(7)}
    assert all(done.attempts == 1 and done.error is None for done in found.values())
    assert list(executor.run(functions.square, [])) == []


def test_the_executor_says_what_it_is(executor):
    assert (executor.name, executor.slots) in {("serial", 1), ("local", 2), ("ray", 2)}


def test_an_error_is_a_result_like_any_other(executor, functions):
    found = by_index(executor.run(functions.fails, [0, 1, 3, 4]))
    assert found[0].result == 0
    assert found[3].result == 4
    assert isinstance(found[1].error, ValueError)
    assert str(found[1].error) == "one is not allowed"
    assert str(found[2].error) == "SystemExit: 3"


def test_tasks_may_be_chosen_by_what_others_gave(executor, functions):
    seen = []

    def tasks():
        yield 2
        while len(seen) < 1:
            yield 3
        while max(seen) < 1000:
            yield max(seen)

    asked = tasks()
    for done in executor.run(functions.square, asked):
        seen += [done.result]
    assert 4 in seen or 9 in seen
    assert max(seen) in {16**2 * 16**2, 81**2}
    assert next(asked, None) is None


def test_what_tasks_print_is_printed_here(executor, functions, capsys):
    list(executor.run(functions.square, [11, 12]))
    assert sorted(capsys.readouterr().out.splitlines()) == ["squaring 11", "squaring 12"]


def test_a_function_may_carry_data(executor, functions):
    found = by_index(executor.run(functions.Adds(b"x" * 300_000), range(4)))
    assert [found[i].result[0] for i in range(4)] == [300_000 + i for i in range(4)]


def test_results_come_as_they_end(workers, functions, tmp_path):
    tasks = [(str(tmp_path), number) for number in range(4)]
    assert [done.result for done in workers.run(functions.first_waits, tasks)] == [1, 2, 3, 0]


def test_the_traceback_of_the_worker_is_the_cause(workers, functions):
    (done,) = workers.run(functions.fails, [1])
    assert "one is not allowed" in str(done.error.__cause__)
    assert "in fails" in str(done.error.__cause__)


def test_errors_and_results_that_cannot_travel_are_said(workers, functions):
    (done,) = workers.run(functions.fails, [2])
    assert isinstance(done.error, RuntimeError)
    assert str(done.error) == "NeedsTwo: a and b"
    (done,) = workers.run(functions.lock, [1])
    assert isinstance(done.error, TypeError)
    assert "the result (lock) cannot be sent" in str(done.error)
    import threading

    with pytest.raises(TypeError, match="the task of square cannot be sent to another process"):
        list(workers.run(functions.square, [threading.Lock()]))
    with pytest.raises(TypeError, match="the function of Adds cannot be sent to another process"):
        list(workers.run(functions.Adds(threading.Lock()), [1]))


def test_a_function_of_a_script_or_notebook_is_sent_along(workers):
    offset = 5
    assert [done.result for done in workers.run(lambda number: number + offset, [1])] == [6]


def test_a_worker_killed_in_the_middle_loses_nothing(workers, functions, tmp_path):
    found = by_index(workers.run(functions.dies_once, [(str(tmp_path), i) for i in range(5)]))
    assert {index: done.result for index, done in found.items()} == {i: i * 10 for i in range(5)}
    assert found[1].attempts == 2
    assert (tmp_path / "died").exists()
    assert all(done.attempts == 1 for index, done in found.items() if index != 1)


def test_a_task_that_always_kills_is_given_up_and_the_others_are_not(workers, functions):
    found = by_index(workers.run(functions.dies_always, range(4)))
    assert [found[i].result for i in (0, 2, 3)] == [0, 2, 3]
    assert isinstance(found[1].error, WorkerDied)
    assert found[1].attempts == 3
    assert "the worker died 3 times" in str(found[1].error)


def test_closing_ends_what_runs(workers, functions, tmp_path):
    started = time.monotonic()
    asked = workers.run(functions.sleeps, [(str(tmp_path), i, 60 * i) for i in range(4)])
    assert next(asked).result == 0
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < started + 20:
        time.sleep(0.02)
    asked.close()
    assert sorted(done.result for done in workers.run(functions.same, [2, 3])) == [2, 3]
    assert time.monotonic() - started < 30
