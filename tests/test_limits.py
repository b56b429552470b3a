"""Every limit has a default, a typed end and a test; ten everyday overruns, and whether the variables are kept.

The table of `docs/limits.md` is this table: a test holds the two together.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from codeact import ALL, UsageError, tool
from codeact.assemble import sandbox
from codeact.cells import Cells
from codeact.core.execution import MIB, Limits, Policy
from codeact.core.observations import after_cell
from codeact.tools.function import as_tool

TIGHT = Limits(seconds=0.5, memory=256 * MIB, grace=0.6, scratch=8 * MIB, inodes=64, threads=16, output=4096, calls=50)


@tool
def slow() -> str:
    """Answers after longer than a cell may run."""
    time.sleep(0.8)
    return "late"


def cells(limits: Limits = TIGHT) -> Cells:
    return Cells(sandbox("linux"), Policy(limits, imports=ALL), [as_tool(slow)])


# name in the docs, the cell, how it ends, the type of the error, whether the variables are kept
OVERRUNS = [
    ("an endless loop", "while True: pass", "timeout", "CellTimeout", True),
    (
        "a loop over numpy",
        "import numpy\na = numpy.ones((200, 200))\nwhile True: a = a @ a / 200",
        "timeout",
        "CellTimeout",
        True,
    ),
    ("a huge list", "rows = [0] * 10**10", "done", "MemoryError", True),
    ("a long sleep", "import time; time.sleep(60)", "timeout", "CellTimeout", True),
    ("waiting for a slow tool", "slow()", "done", None, True),
    (
        "a pool of threads",
        "import time\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool: list(pool.map(time.sleep, [60] * 4))",
        "timeout",
        "CellTimeout",
        True,
    ),
    ("a deep recursion", "def f(n): return f(n + 1)\nf(0)", "done", "RecursionError", True),
    ("a bad regular expression", "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')", "timeout", "CellTimeout", True),
    ("a big power", "9**9**9", "timeout", "CellTimeout", True),
    ("a flood of prints", "while True: print('x' * 100)", "timeout", "CellTimeout", True),
    ("one long call into C", "sum(range(10**12))", "timeout", "CellTimeout", False),
    (
        "code that swallows the interrupt",
        "import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass",
        "timeout",
        "CellTimeout",
        False,
    ),
]


@pytest.mark.parametrize(
    ("source", "ended", "error", "kept"), [row[1:] for row in OVERRUNS], ids=[row[0] for row in OVERRUNS]
)
async def test_an_overrun_ends_as_the_docs_say(source: str, ended: str, error: str | None, kept: bool) -> None:
    async with cells() as python:
        await python.run("before = 1")
        outcome = await python.run(source)
        assert (outcome.ended, outcome.error and outcome.error.type, outcome.kept) == (ended, error, kept)
        assert ((await python.run("before")).value == "1") == kept


def test_the_docs_show_the_same_table() -> None:
    text = (Path(__file__).parent.parent / "docs" / "limits.md").read_text(encoding="utf-8")
    for name, _, ended, error, kept in OVERRUNS:
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        assert f"`{error or ended}`" in row and row.rstrip(" |").endswith("kept" if kept else "lost"), row
    assert sum(row[4] for row in OVERRUNS[:10]) >= 8


async def test_memory_that_grows_in_small_steps_is_interrupted_and_kept() -> None:
    async with cells(Limits(seconds=20, memory=160 * MIB)) as python:
        await python.run("before = 1")
        outcome = await python.run("rows = []\nwhile True: rows.append(bytearray(10_000))")
        assert (outcome.ended, outcome.kept) in (("memory", True), ("done", True))
        assert outcome.error is not None and outcome.error.type in ("CellMemory", "MemoryError")
        assert (await python.run("del rows\nbefore")).value == "1"


LAST = """
held, size = [], 64 << 20
while size >= 64:
    try: held.append(bytearray(size))
    except MemoryError: size //= 2
"""


async def test_code_that_takes_the_last_of_the_memory_is_answered_and_can_give_it_back() -> None:
    async with cells(Limits(memory=64 * MIB)) as python:
        await python.run("kept = 5")
        for _ in range(3):
            assert (await python.run(LAST)).kept
            assert (await python.run("kept")).value == "5"
        assert (await python.run("del held\nkept + len(bytearray(32 << 20))")).value == str(5 + (32 << 20))


async def test_memory_taken_in_spite_of_the_interrupt_is_ended_and_said() -> None:
    greedy = "        while True: rows.append(bytearray(10_000))"
    source = f"rows = []\nwhile True:\n    try:\n{greedy}\n    except BaseException: pass"
    async with cells(Limits(seconds=3, memory=160 * MIB, grace=0.3)) as python:
        outcome = await python.run(source)
        assert outcome.ended in ("memory", "timeout")
        await python.run("rows = None")  # where it was kept there is hardly room to run: this may be what ends it
        assert (await python.run("1")).value == "1"


async def test_output_above_its_limit_is_cut_and_counted_and_is_no_end() -> None:
    async with cells() as python:
        outcome = await python.run("for i in range(10_000): print(f'{i:09d}')\n'end'")
    assert (outcome.ended, outcome.value) == ("done", "'end'")
    assert outcome.stdout.startswith("000000000\n") and outcome.stdout.endswith("000009999\n")
    assert outcome.dropped == 100_000 - 4096 and f"{outcome.dropped:,} bytes left out" in outcome.stdout


THREADS = "import threading, time\nfor i in range(200): threading.Thread(target=time.sleep, args=(9,)).start()"


@pytest.mark.parametrize(
    ("source", "error", "told"),
    [
        ("open('big', 'wb').write(bytes(64 << 20))", "OSError", "may have 8 MiB and 64 files: remove what"),
        ("for i in range(10_000): open(f'file{i}', 'w').close()", "OSError", "and 64 files"),
        (THREADS, "RuntimeError", "At most 16 threads may run at once"),
        ("files = [open('/dev/null') for _ in range(20_000)]", "OSError", "Close what you have opened"),
        ("import os\nos.fork()", "PermissionError", "No other process can be started"),
        ("import subprocess\nsubprocess.run(['ls'])", "PermissionError", "No other process can be started"),
        ("import multiprocessing\nmultiprocessing.Pool(2)", "OSError", "No other process can be started"),
        ("import socket\nsocket.create_connection(('10.0.0.1', 80))", "PermissionError", "There is no network"),
        ("import urllib.request as u\nu.urlopen('http://example.org')", "URLError", "There is no network"),
        ("import os\nos.setuid(0)", "PermissionError", ""),
        ("for i in range(100): slow.__call__(1)", "TypeError", ""),
    ],
)
async def test_what_the_kernel_refuses_is_an_exception_and_words_to_act_on(source: str, error: str, told: str) -> None:
    async with cells() as python:
        await python.run("before = 1")
        outcome = await python.run(source)
        assert outcome.error is not None and error in (outcome.error.type, "OSError"), outcome
        read = after_cell(1, outcome, limits=TIGHT, delimiter="x").rpartition("</error x>")[2]
        assert read.strip() == "" if not told else told in read
        assert (await python.run("before")).value == "1"


@pytest.mark.parametrize("name", list(Limits.__dataclass_fields__))
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), True, "5", None])
def test_a_limit_that_makes_no_sense_is_refused_by_name(name: str, value: object) -> None:
    if value is None and getattr(Limits(), name) is None:
        return  # without a limit
    with pytest.raises((TypeError, UsageError), match="max_steps" if name == "steps" else name):
        Limits(**{name: value})  # type: ignore[arg-type]


async def test_of_calls_that_come_together_one_is_begun_a_turn_so_that_others_have_theirs() -> None:
    turns, begun = 0, []

    async def cheap(n: int) -> int:
        begun.append(turns)
        if len(begun) == 1:
            time.sleep(0.2)  # noqa: ASYNC251 - the others are sent meanwhile, and come together
        return n

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    code = "from threading import Thread\nmany = [Thread(target=cheap, args=(n,)) for n in range(20)]\n"
    async with Cells(sandbox("linux"), Policy(), [as_tool(cheap)]) as cells:
        counting = asyncio.create_task(count())
        outcome = await cells.run(code + "for one in many: one.start()\nfor one in many: one.join()")
        counting.cancel()
    assert outcome.ok and len(begun) == 20
    assert max(begun.count(turn) for turn in begun) <= 2
