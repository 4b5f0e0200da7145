"""A model of a few thousand weights in a folder, and settings under which a whole round takes seconds.

As a program (`tiny_learner.py HOME MODEL ARGS...`) it is `apprentice learn` in a process of its own.
"""

import json
from pathlib import Path
from typing import Any

from apprentice.config import Config, load
from tiny_models import a_model, a_tokenizer

SMALL: dict[str, Any] = {
    "environment": {"name": "workshop"},
    "policy": {"dtype": "float32", "width": 8},
    "limits": {"steps": 8},
    "distill": {"demonstrations": 4, "passes": 2, "rate": 1e-3},
    "gate": {"anchors": 2, "tolerated": 2, "block": 2, "tries": 0},
    "learn": {"tasks": 6, "attempts": 6, "probes": 0},
    "memory": {"recall": "off"},
}


def install_workshop(folder: Path) -> Path:
    """Make the workshop an installed environment for whoever has the folder on its path."""
    told = folder / "workshop-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: workshop\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(
        "[apprentice.environments]\nworkshop = worlds:Workshop\n"
    )
    return folder


def save_tiny_model(folder: Path) -> Path:
    """Write a random model and a tokenizer of bytes, as transformers keeps them."""
    tokenizer = a_tokenizer()
    a_model(max_position_embeddings=8192).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def small_config(home: Path, model: Path, **changes: Any) -> Config:
    tree = {**SMALL, "home": home, "cache": home / "cache"}
    tree["policy"] = {**SMALL["policy"], "use": f"local:{model}"}
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values} if isinstance(values, dict) else values
    return load(tree)


def written_settings(folder: Path, model: Path) -> Path:
    """Write the same settings as a file, for the command line."""
    lines = ["seed = 3"]
    for section, values in SMALL.items():
        chosen = {**values, "use": f"local:{model}"} if section == "policy" else values
        lines.append(f"[{section}]")
        lines += [f"{name} = {_toml(value)}" for name, value in chosen.items()]
    file = folder / "small.toml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    return json.dumps(value)
