"""Kills the hosts of the runs in this folder at random moments, and resumes them: a program, and what a test asks.

    python killing.py FOLDER [--seed N] [--times N] [--kills N] [--only NAME] [--share N/M]

One process is warm, and each host is a fork of it, since it is only what happens in a host that is to be looked at. The
launcher of their sandboxes is lent to them, too: its sessions end with the host that ordered them.
After each kill the run is resumed without a word, with no flag; a resume may be killed as well. It has to end as it
does when nobody kills it.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import gc
import json
import os
import random
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import anyio._backends._asyncio
from pydantic import TypeAdapter

from codeact import ALL, CodeAgent, tool
from codeact.core.events import Delta, Event, TaskGiven
from codeact.journals.sqlite import SqliteStore
from codeact.sandboxes.linux import environment, launchers
from codeact.session.session import Session
from codeact.testing import ScriptedModel

HERE = Path(__file__).parent


def read(path: Path) -> tuple[str, dict[str, Any], list[str]]:
    """The answer of a run, what it is given, and its cells."""
    head: dict[str, str] = {}
    text = path.read_text(encoding="utf-8")
    while text.startswith("# ") and not text.startswith("# ---"):
        line, _, text = text.partition("\n")
        name, _, value = line[2:].partition(": ")
        head[name] = value
    return head["answer"], ast.literal_eval(head.get("given", "{}")), text.split("\n# ---\n")


def agent(path: Path, place: Path) -> CodeAgent:
    """The agent of a run; its tools may all be called again, under the key that they had."""

    @tool(idempotent=True)
    def note(key: str, value: Any) -> Any:
        """Note a value under a key; what was noted first stays, and is returned."""
        with sqlite3.connect(place / "noted.db", timeout=30) as file:
            file.execute("CREATE TABLE IF NOT EXISTS noted (key TEXT PRIMARY KEY, value TEXT)")
            file.execute("INSERT OR IGNORE INTO noted VALUES (?, ?)", (key, json.dumps(value)))
            return json.loads(file.execute("SELECT value FROM noted WHERE key = ?", (key,)).fetchone()[0])

    @tool(idempotent=True)
    async def fetch(n: int) -> int:
        """Fetch a number, which takes its time."""
        await anyio.sleep(0.3 if n >= 50 else 0.004 * ((7 * n) % 5))
        return 10 * n

    @tool(idempotent=True)
    def boom(n: int) -> int:
        """Fail for some numbers."""
        if n >= 2:
            raise ValueError(f"no {n}")
        return n

    clerk = CodeAgent(
        model=ScriptedModel(
            "```python\nlarge = text.upper()\nprint(large)\n```", "```python\nfinal_answer(large)\n```"
        ),
        name="clerk",
        description="Writes.",
    )
    replies = [f"```python\n{cell.strip()}\n```" for cell in read(path)[2]]
    return CodeAgent(
        model=ScriptedModel(*replies),
        tools=[note, fetch, boom],
        imports=ALL,
        managed_agents=[clerk] if path.stem == "sub_agent" else [],
        journal=SqliteStore(place / "runs.db"),
    )


async def host(path: Path, place: Path, seen: int) -> None:
    """One life of a run: begun, or resumed. Each event after its task was given is a byte on `seen`."""
    made, given = agent(path, place), read(path)[1]
    counting = (made.store.path.exists()) and made.store.has(path.stem) and _has_task(made, path.stem)

    def hear(news: Event | Delta) -> None:
        nonlocal counting
        counting = counting or isinstance(news, TaskGiven)
        if counting and isinstance(news, Event):
            os.write(seen, b".")

    if counting:
        result = await made.aresume(path.stem, listeners=[hear])
    else:
        (place / "table.csv").write_text("name,count\na,1\nb,5\nc,2\n")
        async with Session(made, [hear], run_id=path.stem) as session:
            result = await session.run("Do it.", additional_args=given, files=[place / "table.csv"])
    answer = result.output if result.answered else None
    told = {"reason": result.stop_reason, "error": result.error, "answer": _spelled(answer)}
    os.write(seen, b"\n" + json.dumps(told).encode())


def _has_task(made: CodeAgent, run: str) -> bool:
    return any(isinstance(entry.event, TaskGiven) for entry in made.store.entries(run))


def _spelled(answer: Any) -> str:
    return repr(str(answer)) if hasattr(answer, "columns") else repr(answer)


def lent() -> launchers.Launcher:
    """A launcher that stands."""
    one = launchers.launcher(environment.find(None), launchers.SHIPPED)
    with one.lock:
        one._stand("plain")
    return one


def life(path: Path, place: Path, events: int | None, delay: float = 0.0) -> tuple[int, str]:
    """Have a host at work, and kill it after so many events: how many there were, and what it said at its end."""
    lender = lent()
    assert lender.control is not None
    line, level = lender.control.dup(), lender.level
    near, far = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(near)
            os.setsid()
            lender.control, lender.level = line, level
            asyncio.run(host(path, place, far))
        except BaseException as error:
            os.write(
                far, b"\n" + json.dumps({"reason": "raised", "error": f"{type(error).__name__}: {error}"}).encode()
            )
        finally:
            os._exit(0)
    os.close(far)
    line.close()
    said = b""
    with open(near, "rb", buffering=0) as heard:
        while data := heard.read(65536):
            said += data
            if events is not None and said.split(b"\n")[0].count(b".") >= events:
                time.sleep(delay)
                os.kill(pid, signal.SIGKILL)
                break
    os.waitpid(pid, 0)
    dots, _, end = said.partition(b"\n")
    return len(dots), end.decode()


def killed(path: Path, place: Path, dice: random.Random, kills: int = 1) -> dict[str, Any]:
    """Kill a run so often, and resume it to its end."""
    place.mkdir(parents=True)
    expected = read(path)[0]
    began = time.monotonic()
    at = []
    for _ in range(kills):
        events = dice.randrange(1, 4 + 4 * len(read(path)[2]))
        at.append(events)
        _, end = life(path, place, events, dice.random() * 0.005)
        if end:
            break
    count, end = life(path, place, None)
    told = json.loads(end) if end else {"reason": "died"}
    same = told.get("answer") == expected
    return {"run": path.stem, "same": same, "at": at, "events": count, "seconds": time.monotonic() - began, **told}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--share", default="0/1", help="0/2 and 1/2 are the halves of them all")
    parser.add_argument("--only")
    options = parser.parse_args()
    share, of = map(int, options.share.split("/"))
    good = True
    TypeAdapter(str)  # the first one looks through all that is installed
    gc.freeze()
    for n in range(options.times):
        for path in sorted(HERE.glob("*.txt"))[share::of]:
            if options.only in (None, path.stem):
                dice = random.Random(f"{options.seed + n} {path.stem}")
                told = killed(path, options.folder / str(n) / path.stem, dice, options.kills)
                good = good and told["same"]
                print(json.dumps(told), flush=True)
    lent().end()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
