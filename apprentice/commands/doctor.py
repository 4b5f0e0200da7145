"""`apprentice doctor`: say what works here, as it is found out."""

from dataclasses import asdict

from rich.text import Text

from apprentice.doctor import State, examine
from apprentice.settings.config import Config
from apprentice.terminal.terminal import inert, out, say_json

EXIT_ILL = 1

COLORS = {State.GOOD: "green", State.NOTE: "yellow", State.BAD: "red"}


def doctor(config: Config, *, as_json: bool) -> bool:
    """Print the findings and return whether nothing is bad."""
    findings = []
    console = out()
    for finding in examine(config):
        findings.append(finding)
        if not as_json:
            mark = Text(f"{finding.state:<5}", style=COLORS[finding.state])
            console.print(Text.assemble(mark, f"{finding.topic:<12} {inert(finding.words)}"))
    if as_json:
        say_json([asdict(finding) for finding in findings])
    return all(finding.state is not State.BAD for finding in findings)
