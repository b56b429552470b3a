"""Kill at every point, and say what was lost: `python tests/crash/points.py [--every N] [--again N]`.

Both works are killed at each point of theirs, each victim in a run of its own, and then go on to their end; after that
some are killed once more at each point of the life that goes on. What is wrong is printed; at the end, also when it is
interrupted, stand the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stage import Stage, staged
from trials import VICTIMS, Kill, Trial, ended, trial

from codeact import CodeAgent
from codeact.core.errors import ModelUnavailable
from codeact.testing import ScriptedModel


def main() -> None:
    """Sweep, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every n-th point")
    parser.add_argument("--again", type=int, default=4, help="points after which the life that goes on is killed, too")
    options = parser.parse_args()
    figures: Counter[str] = Counter()
    with staged() as stage, tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        for name in ("one", "two"):
            for one in _swept(stage, Path(folder), name, options.every, options.again, figures):
                figures["runs"] += 1
                figures["kills"] += one.kills
                figures["paused"] += one.paused
                figures["wrong"] += bool(one.wrong)
                figures["duplicates"] += sum("effects" in words for words in one.wrong)
                figures["losses"] += sum("not in the journal" in words or "an intent" in words for words in one.wrong)
    for what in ("points", "runs", "kills", "duplicates", "losses", "wrong", "paused"):
        print(f"{what:12} {figures[what]:,}")
    print(f"{'1,000 steps':12} resumed in {asyncio.run(_thousand()):.2f} s")


def _swept(stage: Stage, folder: Path, name: str, every: int, again: int, figures: Counter[str]) -> Iterator[Trial]:
    for snapshots in (False, True):  # the second with a launcher of its own: the points of a start
        place = folder / f"{name}-{snapshots}"
        place.mkdir()
        whole = stage.play(place=str(place), work=name, trace=True, snapshots=snapshots, lent=not snapshots)
        reference, points = ended(place), len(whole["points"])
        figures["points"] += points

        def tried(*kills: Kill, snapshots: bool = snapshots, reference: dict[str, Any] = reference) -> Trial:
            with tempfile.TemporaryDirectory(dir=folder) as scene:
                one = trial(stage, Path(scene) / "run", name, kills, reference, snapshots)
                for words in one.wrong:
                    print(f"{name} {kills}: {words}", flush=True)
                return one

        for point in range(1, points + 1, every):
            for victim in VICTIMS:
                yield tried(Kill(victim, point, own=snapshots))
        if snapshots:
            continue
        for call in range(1, len(reference) + 1):
            for mode in ("before", "lost"):
                yield tried(Kill(call=call, mode=mode))
        for first in range(points // (again + 1), points, max(1, points // (again + 1)))[:again]:
            for point in range(1, points + 1, every):
                one = tried(Kill(point=first), Kill(point=point))
                yield one
                if one.kills < 2:  # it came to its end before that point
                    break


async def _thousand() -> float:
    """Seconds in which a run of a thousand steps is resumed, its cells among them."""
    steps = [f"```python\nx{n} = {n}\n```" for n in range(1000)]
    with tempfile.TemporaryDirectory() as folder:

        def agent(*replies: Any) -> CodeAgent:
            model = ScriptedModel(*replies)
            return CodeAgent(model=model, journal=f"{folder}/runs.db", max_steps=1100, snapshots=False)

        async with agent(*steps, ModelUnavailable("down")).session() as session:
            with contextlib.suppress(ModelUnavailable):
                await session.run("Count.")
        end = "```python\nfinal_answer(x0 + x999)\n```"
        began = time.monotonic()
        result = await agent(*steps, end).aresume(session.run_id)
        assert result.output == 999
        return time.monotonic() - began


if __name__ == "__main__":
    main()
