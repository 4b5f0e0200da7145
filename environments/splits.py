"""Which tasks are practised and which examined, where whoever wrote them did not say."""

from collections.abc import Collection, Mapping

from environments.episode import Split
from environments.seed import derive


def deal(environment: str, ids: Collection[str]) -> Mapping[str, Split]:
    """Give a quarter of the tasks to dev and a quarter to test, as their names alone decide.

    >>> sorted(map(str, deal("garden", ("dig", "rake", "sow", "water")).values()))
    ['dev', 'test', 'train', 'train']
    """
    order = sorted(ids, key=lambda id: derive(environment, id))
    quarter = len(ids) // 4
    return {
        id: Split.DEV if place < quarter else Split.TEST if place < 2 * quarter else Split.TRAIN
        for place, id in enumerate(order)
    }
