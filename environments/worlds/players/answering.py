"""The child's half of `environments.worlds.child`: questions in, answers out, one line each."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Answer: TypeAlias = Mapping[str, object]


def answer(begin: Callable[[Any], Answer], act: Callable[[str], Answer]) -> None:
    """Answer `{"begin": ...}` and `{"act": ...}` until nobody asks any more.

    What libraries print goes to standard error, so that it cannot be taken for an answer.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            question = json.loads(line)
            try:
                said = begin(question["begin"]) if "begin" in question else act(question["act"])
            except Exception as error:  # noqa: BLE001 - whatever it was, whoever asks is told
                said = {"error": f"{type(error).__name__}: {error}".replace("\n", " ")}
            answers.write(json.dumps(said) + "\n")
            answers.flush()
