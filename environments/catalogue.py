"""The tasks of an environment, found by their ids and by what they may be used for.

Whoever lists them, from a file, a package or seeds, need not say again how they are looked up.
"""

from collections.abc import Iterable, Sequence

from environments.episode import Split, Task
from environments.errors import UnknownNameError


class Catalogue:
    """Tasks in the order in which they were listed."""

    def __init__(
        self, tasks: Iterable[Task] = (), *, what: str = "task", forms: Sequence[str] = ()
    ) -> None:
        """List tasks; more can be added.

        Args:
            tasks: those known by now.
            what: what an error calls a task that there is not.
            forms: what ids look like, for the same error; none: it names all ids.
        """
        self._tasks = {task.id: task for task in tasks}
        self._what = what
        self._forms = tuple(forms)

    def tasks(self, split: Split) -> tuple[Task, ...]:
        return tuple(task for task in self._tasks.values() if task.split is split)

    def task(self, id: str) -> Task:
        if id not in self._tasks:
            raise UnknownNameError(self._what, id, self._forms or tuple(self._tasks))
        return self._tasks[id]

    def _add(self, task: Task) -> None:
        self._tasks[task.id] = task
