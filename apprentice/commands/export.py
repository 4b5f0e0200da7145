"""`apprentice export`: what was lived, for other trainers."""

from pathlib import Path

from rich.text import Text

from apprentice.build import make_bank, make_environment, make_store
from apprentice.serve.export_form import Form
from apprentice.serve.exports import rows, write
from apprentice.settings.config import Config
from apprentice.terminal.terminal import out, say_json


def export(config: Config, form: Form, file: Path, *, as_json: bool) -> None:
    """Write the rows of a form to a file, and say how many."""
    instructions = make_environment(config).instructions
    with make_store(config) as store, make_bank(config) as bank:
        written = write(rows(form, store, bank, instructions), file)
    if as_json:
        say_json({"form": form.value, "rows": written, "file": str(file)})
    else:
        out().print(Text(f"{written} rows ({form.value}) written to {file}"), soft_wrap=True)
