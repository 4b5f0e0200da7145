"""Our environments in verifiers' own evaluation, which lives in an environment of its own.

VERIFIERS_PYTHON names a Python that has it: `python -m venv there; there/bin/pip install
verifiers==0.4.0 uv; VERIFIERS_PYTHON=there/bin/python pytest -m slow` and this file.
"""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from bench.windows import serving
from environments.episode import Split
from environments.errors import UserError
from environments.registry import open_environment
from sections import Section

ROOT = Path(__file__).resolve().parent.parent
REAL = os.environ.get("VERIFIERS_PYTHON")
SMALL = {"train": 2, "dev": 2, "test": 1, "max_receptacles": 6, "max_objects": 8}


def model(golds):
    """Return an endpoint whose model plays by the book, says so at length, and loses one game."""
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def chat(request: Request):
        asked = await request.json()
        first = json.dumps(asked["messages"][:2])
        goal = next(goal for goal in golds if goal in first)
        turn = sum(each["role"] == "assistant" for each in asked["messages"])
        gold = golds[goal] if goal != next(iter(golds)) else ("look",) * 3 + ("I give up.",) * 9
        said = {"role": "assistant", "content": f"Let me think.\nAction: {gold[turn]}"}
        about = {"id": "1", "created": 0, "model": asked["model"]}
        about["object"] = "chat.completion.chunk"
        chunks = [{"index": 0, "delta": said}, {"index": 0, "delta": {}, "finish_reason": "stop"}]
        lines = [f"data: {json.dumps({**about, 'choices': [each]})}\n\n" for each in chunks]
        return StreamingResponse(iter([*lines, "data: [DONE]\n\n"]), media_type="text/event-stream")

    return app


def evaluate(place, url, *more):
    """Run verifiers' own command over the dev split; return its traces by goal."""
    there = Path(REAL).parent
    flags = {
        "--env.taskset.split": "dev",
        "--env.taskset.settings": json.dumps(SMALL),
        "--client.base-url": f"{url}/v1",
        "--client.api-key-var": "KEY",
        "--model": "gold",
        "--run.dir": "run",
        "--push": "false",
    }
    section = Section("bridges.md", "verifiers")
    section.write(place)
    assert set(re.findall(r"--\S+", section.commands[-1])) <= {*flags, "--env.taskset.world"}
    run = subprocess.run(
        [there / "vf-eval", "my-games", *chain(*flags.items()), *more],
        cwd=place,
        env={
            **os.environ,
            "KEY": "none",
            "PATH": f"{there}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(place)]),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = (place / "outputs" / "run" / "traces.jsonl").read_text().splitlines()
    return {each["task"]["data"]["name"]: each["traces"][0] for each in map(json.loads, lines)}


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="set VERIFIERS_PYTHON, see above")
def test_verifiers_evaluates_a_model_in_our_world(tmp_path):
    world = open_environment("household", **SMALL)
    tasks = world.tasks(Split.DEV)
    with serving(model({task.goal: world.gold(task) for task in tasks})) as url:
        traces = evaluate(tmp_path, url, "--env.player.max-turns", "8")
    lost, won = (traces[f"{task.kind}: {task.goal}"] for task in tasks)
    assert (won["rewards"]["reward"]["score"], won["metrics"]["solved"]) == (1.0, 1.0)
    assert (lost["rewards"]["reward"]["score"], lost["metrics"]["solved"]) == (0.0, 0.0)
    assert won["errors"] == lost["errors"] == []


@pytest.mark.skipif(find_spec("verifiers") is not None, reason="verifiers is installed here")
def test_without_verifiers_it_says_where_to_install_it():
    with pytest.raises(UserError, match=r"there: pip install verifiers==0\.4\.0 ") as error:
        import environments.bridges.verifiers_export  # noqa: F401
    assert "\n" not in str(error.value)
    assert "environments.bridges.verifiers_export" not in sys.modules
