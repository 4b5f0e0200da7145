"""The whole road with the real model: a command, a world, episodes that can be trusted."""

import json

from command import apprentice


def test_the_real_model_plays_and_every_token_it_wrote_is_kept(tmp_path):
    done = apprentice(
        "run", "--episodes", 3, "--steps", 6, "--temperature", 1, "--width", 3, "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["policy"], summary["episodes"]) == ("smollm2-135m", 3)
    lines = apprentice("episodes", "export", cwd=tmp_path).stdout.splitlines()
    for episode in map(json.loads, lines):
        assert episode["ending"] in ("truncated", "solved")
        for step in episode["steps"]:
            completion = step["completion"]
            assert step["action"] in step["admissible"]  # the trie admits nothing else
            assert completion["text"].strip() == step["action"]
            assert len(completion["token_ids"]) == len(completion["logprobs"]) > 0
            assert all(logprob <= 0 for logprob in completion["logprobs"])
        prompts = [step["completion"]["prompt_tokens"] for step in episode["steps"]]
        assert prompts == sorted(prompts)  # a transcript only grows
        again = apprentice("episodes", "replay", episode["id"], cwd=tmp_path)
        assert again.returncode == 0, again.stdout
