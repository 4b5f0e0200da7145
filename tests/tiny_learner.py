"""A model of a few thousand weights in a folder, and settings for a whole round in seconds."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apprentice.settings.config import Config, load
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
    return install_world(folder, "workshop", "worlds:Workshop")


def install_world(folder: Path, name: str, maker: str) -> Path:
    """Make an environment an installed one for whoever has the folder on its path."""
    told = folder / f"{name}-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    named = f"[apprentice.environments]\n{name} = {maker}\n"
    (told / "entry_points.txt").write_text(named)
    return folder


@contextmanager
def importing(site: Path) -> Iterator[str]:
    """Let this process find what is installed in a folder."""
    sys.path.insert(0, str(site))
    yield str(site)
    sys.path.remove(str(site))


def save_tiny_model(folder: Path) -> Path:
    """Write a random model and a tokenizer of bytes, as transformers keeps them."""
    tokenizer = a_tokenizer()
    a_model(max_position_embeddings=8192).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def small_config(home: Path, model: Path, **changes: Any) -> Config:
    """Return the settings, some sections of them changed."""
    tree = {**SMALL, "home": home, "cache": home / "cache"}
    tree["policy"] = {**SMALL["policy"], "use": f"local:{model}"}
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values} if isinstance(values, dict) else values
    return load(tree)


def written_settings(file: Path, model: Path, seed: int, **changes: dict[str, Any]) -> Path:
    """Write the same settings as a file, for the command line."""
    lines = [f"seed = {seed}"]
    sections = {name: SMALL.get(name, {}) | changes.get(name, {}) for name in {**SMALL, **changes}}
    for section, values in sections.items():
        chosen = {**values, "use": f"local:{model}"} if section == "policy" else values
        lines.append(f"[{section}]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in chosen.items()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
