"""PostgreSQL is killed in the middle of a run: one line, nothing lost, and the run goes on."""

import json
import signal
import subprocess
import time

import pytest

from command import APPRENTICE, apprentice, environment, one_line
from memory.store.store import Store

EPISODES = 24
RUN = ("run", "--episodes", EPISODES, "--policy", "random", "--width", "2", "--steps", "60")


def _store(url):
    return {"APPRENTICE_STORE__URL": url}


def _lived(where):
    """Return what was done in each attempt, by its task and seed."""
    with Store.open(where) as store:
        return {
            (each.task.id, each.seed): tuple(step.action for step in each.steps)
            for each in store.episodes()
        }


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_run_whose_server_goes_ends_in_one_line_and_goes_on_when_it_is_back(
    postgres, emptied, tmp_path, how
):
    url = emptied()
    process = subprocess.Popen(
        [APPRENTICE, *map(str, RUN)], cwd=tmp_path, env=environment(**_store(url)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with Store.open(url) as store:
        while store.count() < 3 and process.poll() is None:
            time.sleep(0.02)
        before = {row.id for row in store.rows(limit=EPISODES)}
    postgres.stop(how)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        postgres.start()
    line = one_line(subprocess.CompletedProcess([], process.returncode, out, err))
    assert "the server is not there" in line
    assert "start it and resume" in line
    with Store.open(url) as store:
        kept = {row.id for row in store.rows(limit=EPISODES)}
        assert before <= kept
        assert len(kept) < EPISODES, "the run was over before its server went"
    done = apprentice("run", "--resume", "--json", cwd=tmp_path, **_store(url))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["episodes"] == EPISODES
    undisturbed = apprentice(*RUN, cwd=tmp_path, APPRENTICE_HOME=str(tmp_path / "other"))
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert _lived(url) == _lived(tmp_path / "other" / "apprentice.sqlite")
