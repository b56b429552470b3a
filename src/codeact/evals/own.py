"""A set of one's own: a file of JSON Lines, each a task and its answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import UsageError, nearest
from ..core.tasks import check_task
from ..ports import Tool
from .checking import same
from .tasks import Task, TaskSet

_KEYS = ("task", "answer", "name", "domain")


def read(path: Path, tools: Sequence[Tool] = ()) -> TaskSet:
    """The tasks of a file whose lines are `{"task", "answer", "name"?, "domain"?}`, all with these tools."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    found: dict[str, Task] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                task = _task(json.loads(line), number)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{path}, line {number}: {error}") from None
            if task.name in found:
                raise UsageError(f"{path}, line {number}: a second task of the name {task.name!r}")
            found[task.name] = task
    if not found:
        raise UsageError(f'{path} holds no task: write a line {{"task": "...", "answer": ...}} for each')
    return TaskSet(path.stem, tuple(found.values()), lambda task, form: tools, same)


def _task(line: Any, number: int) -> Task:
    if not isinstance(line, dict):
        raise ValueError("not an object of JSON")
    for key in line:
        if key not in _KEYS:
            raise ValueError(f"no key {key!r}{nearest(key, _KEYS)}; there are {', '.join(_KEYS)}")
    if "task" not in line or "answer" not in line:
        raise ValueError("a task needs 'task' and 'answer'")
    text, name, domain = line["task"], line.get("name", str(number)), line.get("domain", "all")
    if not all(isinstance(one, str) and one.strip() for one in (text, name, domain)):
        raise ValueError("'task', 'name' and 'domain' are text")
    check_task(text)
    return Task(name, domain, text, line["answer"])
