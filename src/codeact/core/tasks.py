"""What can be a task."""

from __future__ import annotations

from .errors import UsageError


def check_task(task: object) -> None:
    """Refuse what cannot be a task, before it costs anything."""
    if not isinstance(task, str):
        raise TypeError(f"a task is a str, not {type(task).__name__}")
    if not task.strip():
        raise UsageError("the task is empty: say what is to be done")
    if len(task) > 1_000_000:
        raise UsageError(
            f"the task has {len(task):,} characters, at most 1,000,000 fit: give long data as a variable instead"
        )
