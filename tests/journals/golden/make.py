"""Make a journal as a build of codeact writes it, to be kept here: of a run that ended, and of one that was killed.

git worktree add /tmp/then COMMIT
PYTHONPATH=/tmp/then/src python tests/journals/golden/make.py tests/journals/golden/NAME.db.xz
"""

from __future__ import annotations

import lzma
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from codeact import CodeAgent, tool
from codeact.testing import ScriptedModel

REPLIES = (
    "import random\nrows = [{'seat': n, 'of': (n, n + 0.5)} for n in range(3)]\nlucky = random.randrange(10**9)\nlucky",
    "import asyncio\ncosts = await asyncio.gather(*(price.aio(seat=n) for n in (4, 5, 6)))\nprint('x' * 9000)",
    "try:\n    price(13)\nexcept ValueError as error:\n    rows.append(str(error))\nundefined = 1 / 0",
    "table = long_table()\nlen(table)",
    "got = [book(n) for n in range(3)]",
    "final_answer({'costs': costs, 'got': got, 'last': rows[-1], 'long': len(table), 'lucky': lucky})",
)


@tool
async def price(seat: int) -> float:
    """What a seat costs."""
    if seat == 13:
        raise ValueError("there is no seat 13")
    return seat * 1.5


@tool
def long_table() -> list[dict]:
    """Many rows."""
    return [{"city": "Oslo", "degrees": number} for number in range(3000)] + [{"text": "y" * 70_000}]


@tool
def book(seat: int) -> str:
    """Book a seat. As the run is made its process dies of the last one."""
    if seat == 2 and os.environ.get("DIES"):
        os._exit(9)
    return f"seat {seat}"


def agent(journal: object, model: ScriptedModel | None = None) -> CodeAgent:
    """The agent that both runs are of."""
    made = model or ScriptedModel(*(f"I do it.\n```python\n{code}\n```" for code in REPLIES))
    return CodeAgent(model=made, tools=[book, price, long_table], journal=journal)  # type: ignore[arg-type]


def main(target: str) -> None:
    """Write the file."""
    if "DIES" in os.environ:
        agent(target).run("Book seats, and die.", additional_args={"who": "Ada"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.db")
        agent(str(path)).run("Book seats.", additional_args={"who": "Ada"})
        subprocess.run([sys.executable, __file__, path], env={**os.environ, "DIES": "1"}, check=False)
        file = sqlite3.connect(path)
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("PRAGMA page_size = 1024")
        file.execute("VACUUM")
        file.execute("PRAGMA journal_mode = WAL")
        file.close()
        Path(target).write_bytes(lzma.compress(path.read_bytes(), preset=9))


if __name__ == "__main__":
    main(sys.argv[1])
