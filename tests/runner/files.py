"""Deals out tests to the processes of xdist a file at a time, so that what a file's tests share is made once."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class ByFile(LoadFileScheduling):
    """The scheduling of xdist, but for what becomes of a test in which its process has died: xdist gives it to the next
    process together with the rest of its file, which it ends too, until the file and all processes are used up."""

    def remove_node(self, node: WorkerController) -> str | None:
        units = self.assigned_work.get(node, {}).values()
        crashed = next(((unit, name) for unit in units for name, done in unit.items() if not done), None)
        if crashed is None:
            return super().remove_node(node)
        unit, name = crashed
        unit[name] = True
        super().remove_node(node)  # which takes the test after it for the crashed one
        return name
