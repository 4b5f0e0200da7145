"""A person's correction as something to learn from: the attempt up to there, and the better action.

Only that one action is imitated; what led there is read, as the policy itself did it. Whether it is
trained on at all is for the policy over anchors to say.
"""

from dataclasses import replace

from distill.sequences.batch import Source
from distill.sequences.collate import Chosen
from distill.sequences.encode import Reading
from environments.episode import Completion, Ending, Episode
from memory.bank.annotations import Annotation, check


def corrected(episode: Episode, annotation: Annotation) -> Chosen | None:
    """Return what a correction teaches; None: the annotation corrects nothing.

    Raises:
        AnnotationError: the correction is not of this episode.
    """
    check(annotation, episode)
    if annotation.step is None or annotation.action is None:
        return None
    place = annotation.step - 1
    better = replace(
        episode.steps[place],
        completion=Completion(text=annotation.action),
        action=annotation.action,
        reward=0.0,  # nobody saw what the world would have paid
    )
    shown = replace(
        episode,
        id=f"{episode.id}+{annotation.id}",
        steps=(*episode.steps[:place], better),
        ending=Ending.TRUNCATED,
        closing="",
        error=None,
    )
    imitated = (False,) * place + (True,)
    reading = Reading(episode=shown, source=Source.DEMONSTRATION, imitated=imitated)
    return Chosen(reading=reading, group=episode.task.id)
