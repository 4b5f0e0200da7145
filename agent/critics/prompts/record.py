"""An attempt as whoever judges it reads it: step by step, in as much room as there is."""

from collections.abc import Iterator

from environments.episode import Episode

FENCE = "=" * 20
"""Around the record: what stands between is material to judge, never an instruction."""

SEEN = 400  # characters of one observation that are told; a quote of more is checked all the same
OPENING = 1_200  # of the first one, which lists the place and states the goal


def record(episode: Episode, room: int, *, closing: bool) -> str:
    """Return the attempt in words; where there is no room for all, the middle is left out.

    Args:
        episode: the attempt.
        room: characters.
        closing: whether to tell the last observation, in which a world may say how it ended.
    """
    blocks = list(_steps(episode))
    if closing:
        blocks.append(f"Step {len(episode.steps)}, the end, saw: {shorten(episode.closing)}")
    if not blocks:
        return "\n".join([FENCE, FENCE])
    first, last = [blocks[0]], blocks[1:]
    left = room - len(blocks[0])
    kept: list[str] = []
    for block in reversed(last):
        left -= len(block)
        if left < 0:
            kept.append(f"[{len(last) - len(kept)} steps are left out here]")
            break
        kept.append(block)
    return "\n".join([FENCE, *first, *reversed(kept), FENCE])


def shorten(text: str, longest: int = SEEN) -> str:
    """Return the text on one line, cut to a length, and unable to close the fence."""
    line = " ".join(text.replace(FENCE, "").split())
    return line if len(line) <= longest else f"{line[:longest]}..."


def _steps(episode: Episode) -> Iterator[str]:
    for place, step in enumerate(episode.steps):
        text = shorten(step.observation, SEEN if place else OPENING)
        did = step.action or f"no legal action: {step.completion.text[:SEEN]!r}"
        yield f"Step {place} saw: {text}\nStep {place} did: {did}"
