"""The demo: recorded replies, live code, real data."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import select
import statistics
import struct
import subprocess
from collections import defaultdict
from fcntl import ioctl
from importlib.resources import files
from pathlib import Path
from termios import TIOCSWINSZ

from .command import CODEACT, codeact, environment

DATA = files("codeact.faces.cli.demo")


def test_the_data_are_michelsons() -> None:
    """The means of the five series and the deviation of all, as published with R's `morley`."""
    series: dict[int, list[int]] = defaultdict(list)
    with (DATA / "michelson_1879.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            series[int(row["series"])].append(int(row["over_299000"]))
    assert {number: statistics.mean(values) for number, values in series.items()} == {
        1: 909.0,
        2: 856.0,
        3: 845.0,
        4: 820.5,
        5: 831.5,
    }
    everything = [value for values in series.values() for value in values]
    assert (len(everything), round(statistics.stdev(everything), 2)) == (100, 79.01)


def test_the_replies_hold_code_and_no_figures_of_the_answer() -> None:
    """What is computed is computed when it is shown."""
    replies = [json.loads(line)["text"] for line in (DATA / "replies.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all("```python" in reply for reply in replies)
    assert not re.search(r"299,?[78]\d\d|852\.4|299,?935|0\.3 ?%|\b143\b", "\n".join(replies))


def test_it_answers_says_what_is_recorded_and_mends_its_mistake(tmp_path: Path) -> None:
    done = codeact("demo", home=tmp_path)
    assert (done.code, done.err) == (0, "")
    shown = [
        "recorded",
        "KeyError: 'speed'",
        "all 100: 299,852.4 ± 7.9",
        "15 of 5,000",
        "== Answer",
        "299,935 ± 8 km/s",
    ]
    places = [done.out.index(text) for text in shown]
    assert places == sorted(places)
    assert "5 steps" in done.out and "3 tool calls" in done.out
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", done.out)


def _on_terminal(columns: int, home: Path, *words: str, **more: str) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [CODEACT, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment(home, **more), close_fds=True
    )
    os.close(theirs)
    seen = bytearray()
    while select.select([ours], [], [], 30)[0]:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # the last writer left
            break
        if not data:
            break
        seen += data
    os.close(ours)
    return process.wait(30), seen.decode()


def test_on_a_terminal_it_is_drawn_in_colour_and_leaves_the_cursor_in_order(tmp_path: Path) -> None:
    code, seen = _on_terminal(80, tmp_path, "demo")
    assert code == 0
    assert re.search(r"\x1b\[(?:\d+;)*3\d", seen)
    plain = re.sub(r"\x1b\[[?\d;]*\w", "", seen)
    assert "╭─ cell 1 ─" in plain and "╭─ answer ─" in plain
    assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l")


def test_a_narrow_terminal_without_colour_is_served_too(tmp_path: Path) -> None:
    model = f"replay:{tmp_path / 'replies.jsonl'}"
    reply = {"text": "I answer.\n```python\nif True:\n    final_answer('a long answer, ' * 5)\n```\n"}
    (tmp_path / "replies.jsonl").write_text(json.dumps(reply))
    code, seen = _on_terminal(30, tmp_path, "run", "x", "--model", model, NO_COLOR="1")
    assert code == 0
    assert not re.search(r"\x1b\[(?:\d+;)*3\d", seen)
    assert "answer" in seen
