"""The life of one host: it begins the run, or goes on with it, and writes down how it ended."""

from __future__ import annotations

import hashlib
import json
import typing
from pathlib import Path
from typing import Any

import bugs
import work

from codeact.core.events import Event, TaskGiven
from codeact.journals import codec
from codeact.session.result import RunResult
from codeact.session.resuming import Resume
from codeact.session.session import Session

EVENTS = typing.get_args(Event)


async def live(scene: dict[str, Any], place: Path, ledger: str, run: str) -> None:
    """See above."""
    store = bugs.planted(scene.get("bug", ""), place)
    agent = work.WORK[scene["work"]][0](place, ledger, store, snapshots=scene.get("snapshots", False))

    def hear(event: Any) -> None:
        if isinstance(event, EVENTS):
            work.append(place / "told", digest(codec.encode(event)))

    work.append(place / "lives", str(sum(1 for _ in store.entries(run)) if store.has(run) else 0))
    if not (scene.get("goes_on") and store.has(run)):
        async with Session(agent, (hear,), run_id=run) as session:
            report(place, await session.run(work.TASK))
        return
    result = await _gone_on(agent, Resume(run), hear)
    report(place, result)
    if result.stop_reason == "paused":
        result = await _gone_on(agent, Resume(run, work.operator(place, store)), hear)
        report(place, result)
    again = await agent.aresume(run)
    assert (again.stop_reason, again.answer) == (result.stop_reason, result.answer), "a second resume is no no-op"


async def _gone_on(agent: Any, resume: Resume, hear: Any) -> RunResult:
    async with Session(agent, (hear,), resume=resume) as session:
        if any(isinstance(event, TaskGiven) for event in session.events):
            return await session.resume()
        return await session.run(work.TASK)


def report(place: Path, result: RunResult) -> None:
    """How a task ended."""
    line = {
        "stop_reason": result.stop_reason,
        "output": result.output if result.answered else None,
        "unknown": [call.key for call in result.unknown],
        "error": result.error,
    }
    work.append(place / "reports", json.dumps(line))


def digest(line: codec.Line) -> str:
    """What one line of the journal is, in a word."""
    whole = hashlib.sha256(line.text.encode())
    for blob in line.blobs:
        whole.update(blob)
    return whole.hexdigest()[:16]
