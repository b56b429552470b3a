"""Kill at every point, and say what was lost: `python tests/crash/points.py [--part K/N] [--done FILE] [--jobs N]`.

Both works are killed at each point of theirs and of their launcher's, each victim in a run of its own, and then go on
to their end; some are killed once more at each point of the life that goes on. The order is by chance, and always the
same: each part, and whatever was done when it is interrupted, is a fair sample of all. With `--done` what was tried
stands in a file, a line each; what is there already is not tried again, and counts. What is wrong is printed; at the
end stand the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stage import Stage
from trials import VICTIMS, Kill, Trial, ended, trial

from codeact import CodeAgent
from codeact.core.errors import ModelUnavailable
from codeact.sandboxes.linux.deaths import POINTS
from codeact.testing import ScriptedModel

WHAT = ("points", "runs", "kills", "duplicates", "losses", "wrong", "paused")
OFTEN = {"order taken": 1, "fork asked": 6, "fork answered": 6}  # how often a launcher comes there in a run
PATIENCE = 900.0  # seconds: a sweep is what a machine does when it has nothing else to do
STARTS = 20  # points of the host's until its sandbox stands


@dataclass(frozen=True)
class Plan:
    """One trial: which work, with or without copies of its interpreter, and its kills."""

    work: str
    snapshots: bool
    kills: tuple[Kill, ...]

    @property
    def name(self) -> str:
        """In a word, for the file of what is done."""
        return json.dumps([self.work, self.snapshots, [asdict(kill) for kill in self.kills]])


class Sweep:
    """All trials, and what came of them."""

    def __init__(self, folder: Path, jobs: int, done: Path | None) -> None:
        self.figures: Counter[str] = Counter()
        self._folder = folder
        self._stages = [Stage(PATIENCE).__enter__() for _ in range(jobs)]
        self._free = list(self._stages)
        self._lock = threading.Lock()
        self._done = done
        self._known = set()
        self._whole: dict[str, dict[str, Any]] = {}
        for line in done.read_text().splitlines() if done is not None and done.exists() else ():
            kept = json.loads(line)
            self._known.add(kept["name"])
            self.figures.update(kept["figures"])

    def plans(self, again: int) -> list[Plan]:
        """Every one that there is, by chance."""
        found: list[Plan] = []
        for work in ("one", "two"):
            for snapshots in (False, True):
                found += self._of(work, snapshots, again)
        for point in POINTS:
            for number in range(1, OFTEN.get(point, 1 + ("session" in point or "init" in point)) + 1):
                for victim in ("sandbox", "both"):
                    kill = Kill(victim, launcher=f"{point}@{number}")
                    found += [Plan("one", True, (kill,)), Plan("one", True, (Kill(point=200), kill))]
        random.Random(0).shuffle(found)
        return found

    def _of(self, work: str, snapshots: bool, again: int) -> Iterator[Plan]:
        points = self._points(work, snapshots)
        calls = len(self._whole[work])
        self.figures["points"] += points
        for point in range(1, points + 1):
            for victim in VICTIMS:
                yield Plan(work, snapshots, (Kill(victim, point),))
        if snapshots:  # with a launcher of its own: the points of a start
            for point in range(1, STARTS + 1):
                yield from (Plan(work, True, (Kill(victim, point, own=True),)) for victim in VICTIMS)
            return
        for call in range(1, calls + 1):
            yield from (Plan(work, False, (Kill(call=call, mode=mode),)) for mode in ("before", "lost"))
        for first in range(points // (again + 1), points, max(1, points // (again + 1)))[:again]:
            left = self._points(work, False, first)
            yield from (Plan(work, False, (Kill(point=first), Kill(point=point))) for point in range(1, left + 1))

    def _points(self, work: str, snapshots: bool, first: int = 0) -> int:
        """How many a run comes to, or one that goes on after it was killed at the `first`."""
        stage = self._stages[0]
        with tempfile.TemporaryDirectory(dir=self._folder) as place:
            scene = {"place": place, "work": work, "snapshots": snapshots, "lent": True}
            if first:
                stage.play(**scene, victim="host", point=first)
            whole = stage.play(**scene, trace=True, goes_on=bool(first))
            if not first:
                self._whole[work] = ended(Path(place))
            return len(whole["points"])

    def tried(self, plan: Plan) -> None:
        """Do it, unless it is done."""
        if plan.name in self._known:
            return
        with self._lock:
            stage = self._free.pop()
        try:
            with tempfile.TemporaryDirectory(dir=self._folder) as place:
                reference = self._whole[plan.work]
                one = trial(stage, Path(place) / "run", plan.work, plan.kills, reference, plan.snapshots)
        finally:
            with self._lock:
                self._free.append(stage)
        self._note(plan, one)

    def _note(self, plan: Plan, one: Trial) -> None:
        figures = {
            "runs": 1,
            "kills": one.kills,
            "duplicates": sum("effects" in words for words in one.wrong),
            "losses": sum("not in the journal" in words or "an intent" in words for words in one.wrong),
            "wrong": int(bool(one.wrong)),
            "paused": int(one.paused),
        }
        with self._lock:
            self.figures.update(figures)
            for words in one.wrong:
                print(f"{plan.name}: {words}", flush=True)
            if self._done is not None:
                with self._done.open("a") as file:
                    file.write(json.dumps({"name": plan.name, "figures": figures, "wrong": one.wrong}) + "\n")


def main() -> None:
    """Sweep, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="1/1", help="only the K-th of N parts, as K/N")
    parser.add_argument("--done", type=Path, help="the file of what was tried: it is gone on with")
    parser.add_argument("--jobs", type=int, default=1, help="trials at once")
    parser.add_argument("--again", type=int, default=4, help="points after which the life that goes on is killed, too")
    parser.add_argument("--steps", action="store_true", help="only measure how long a run of 1,000 steps is resumed")
    options = parser.parse_args()
    if not options.steps:
        part, parts = map(int, options.part.split("/"))
        with tempfile.TemporaryDirectory() as folder:
            _swept(Sweep(Path(folder), options.jobs, options.done), options.again, options.jobs, part, parts)
    if options.steps or options.part == "1/1":
        wall, cpu = asyncio.run(_thousand())
        print(f"{'1,000 steps':12} resumed in {wall:.2f} s, {cpu:.2f} s of them at work on this side")


def _swept(sweep: Sweep, again: int, jobs: int, part: int, parts: int) -> None:
    plans = sweep.plans(again)
    mine: Sequence[Plan] = plans[part - 1 :: parts]
    pool = ThreadPoolExecutor(jobs)
    try:
        for _ in pool.map(sweep.tried, mine):
            pass
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    print(f"{'of':12} {len(plans):,} runs there are")
    for what in WHAT:
        print(f"{what:12} {sweep.figures[what]:,}")


async def _thousand() -> tuple[float, float]:
    """Seconds in which a run of a thousand steps is resumed, its cells among them; and those of our own work."""
    steps = [f"```python\nx{n} = {n}\n```" for n in range(1000)]
    with tempfile.TemporaryDirectory() as folder:

        def agent(*replies: Any) -> CodeAgent:
            model = ScriptedModel(*replies)
            return CodeAgent(model=model, journal=f"{folder}/runs.db", max_steps=1100, snapshots=False)

        async with agent(*steps, ModelUnavailable("down")).session() as session:
            with contextlib.suppress(ModelUnavailable):
                await session.run("Count.")
        end = "```python\nfinal_answer(x0 + x999)\n```"
        began, worked = time.monotonic(), time.process_time()
        result = await agent(*steps, end).aresume(session.run_id)
        assert result.output == 999
        return time.monotonic() - began, time.process_time() - worked


if __name__ == "__main__":
    main()
