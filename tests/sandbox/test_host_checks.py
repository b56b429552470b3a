"""What the host must see to itself, by the ids of the list of ways out: one test a check, with real sessions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from canaries import Canaries, belongings, left_over
from sessions import FREE, LEVELS, session_at
from talk import descendants, until

from codeact import CodeAgent, tool
from codeact.cells import Cells
from codeact.core.execution import Limits, Policy
from codeact.testing import ScriptedModel

LIMITS = Limits(seconds=20, memory=1 << 29)

BACKGROUND = """
import threading, time
running, stop = threading.Event(), threading.Event()
def talk():
    while not stop.is_set():
        print("from the past")
        running.set()
        time.sleep(0.001)
thread = threading.Thread(target=talk, daemon=True)
thread.start()
running.wait()
"""


async def test_sg_14_what_a_thread_of_an_earlier_cell_prints_is_no_later_cells_output(
    level: str, host: Canaries
) -> None:
    async with session_at(level, host) as session:
        assert "from the past" in (await session.run(BACKGROUND)).stdout
        second = await session.run("running.clear(); running.wait(); print('B'); running.clear(); running.wait()")
        assert second.stdout == "B\n"
        assert any("left out" in note for note in second.notes)
        assert (await session.run("stop.set(); thread.join()")).stdout == ""
        code = "worker = threading.Thread(target=print, args=('mine',)); worker.start(); worker.join()"
        third = await session.run(code)
        assert (third.stdout, third.notes) == ("mine\n", ())


async def test_sg_14_a_thread_that_is_lent_to_a_later_cell_prints_for_it(host: Canaries) -> None:
    async with session_at("full", host) as session:
        await session.run("import asyncio\nawait asyncio.to_thread(print, 'one')")
        assert (await session.run("await asyncio.to_thread(print, 'two')")).stdout == "two\n"
