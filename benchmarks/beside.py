"""codeact beside its neighbours, all in one run and by turns: ratios to plain CPython, as a table and a picture.

Each neighbour lives in an environment of its own, made by uv (and npm) on request below `benchmarks/.neighbours`; one
that cannot be installed, or cannot do a thing, has a dash there.
"""

from __future__ import annotations

import ast
import json
import math
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from picture import draw

HERE = Path(__file__).resolve().parent
ROOMS = HERE / ".neighbours"
KERNELS = ("calls", "floats", "dicts", "strings", "lists")  # what every neighbour's Python can say
SLOW = 2.0  # seconds: what takes longer is taken once
PATIENCE = 300.0


@dataclass
class Neighbour:
    """One side of the comparison; `took` has its times by measure and round."""

    name: str
    script: str
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()  # of npm
    process: subprocess.Popen[str] | None = None
    why: str = ""
    took: dict[str, list[float]] = field(default_factory=dict)

    def start(self) -> None:
        """Have it stand; `why` says why it does not."""
        try:
            command = [str(self._python()), str(HERE / "neighbours" / self.script)]
            if self.modules:
                command.append(str(self._npm()))
        except (OSError, subprocess.SubprocessError) as error:
            self.why = f"not installed: {error}"
            return
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)

    def ask(self, measure: str, **question: object) -> None:
        """Take a time once more, if it can do that, and is not slow and has done it before."""
        known = self.took.setdefault(measure, [])
        if self.process is None or (known and max(known) * float(str(question.get("times", 1))) > SLOW):
            return
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline() or '{"error": "it ended"}')
        except OSError:
            answer = {"error": "it ended"}
        if "took" in answer:
            known.append(answer["took"])
        elif not known and measure not in ("call", "call_large"):
            print(f"  {self.name}, {measure}: {answer['error']}", file=sys.stderr)

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()

    def _python(self) -> Path:
        if not self.packages:
            return Path(sys.executable)
        room = ROOMS / Path(self.script).stem
        if not (room / "whole").exists():
            uv = shutil.which("uv") or str(HERE.parent / ".tools" / "bin" / "uv")
            python = room / "bin" / "python"
            subprocess.run([uv, "venv", "-q", "--clear", "-p", sys.executable, room], check=True, timeout=PATIENCE)
            subprocess.run([uv, "pip", "install", "-q", "-p", python, *self.packages], check=True, timeout=PATIENCE)
            (room / "whole").touch()
        return room / "bin" / "python"

    def _npm(self) -> Path:
        room = ROOMS / f"{Path(self.script).stem}-modules"
        if not (room / "node_modules").exists():
            room.mkdir(parents=True)
            install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *self.modules]
            subprocess.run(install, cwd=room, check=True, timeout=PATIENCE)
        return room / "node_modules"


def everybody() -> list[Neighbour]:
    """Plain CPython first: it is what the others are divided by."""
    return [
        Neighbour("plain CPython", "plain.py"),
        Neighbour("codeact", "ours.py"),
        Neighbour("ipykernel", "ipython.py", ("ipykernel",)),
        Neighbour("smolagents, local", "smol.py", ("smolagents",)),
        Neighbour("pydantic-monty", "monty.py", ("pydantic-monty",)),
        Neighbour("Pyodide in Deno", "pyodide.py", ("deno",), ("pyodide",)),
    ]


MEASURES = {
    "start": "start, to the first cell",
    "execution": "execution",
    "cell": "a cell, `x = 1`",
    "call": "a tool call, 10 bytes",
    "call_large": "a tool call, 10 MB",
    "memory": "memory of one more session",
}


def compare(sides: list[Neighbour], rounds: int, scale: float) -> None:
    """Ask everybody everything, in every round by turns."""
    kernels = kernels_at(scale)
    for side in sides:
        side.start()
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        turn = sides[number % len(sides) :] + sides[: number % len(sides)]
        for side in turn:
            side.ask("start", what="start")
            for _ in range(20):
                side.ask("cell", what="run", source="x = 1", times=1)
            for size, measure, times in ((10, "call", round(200 * scale)), (10_000_000, "call_large", 2)):
                source = f"for _ in range({times}):\n    echo(text)"
                side.ask(measure, what="run", before=f"text = 'x' * {size}", source=source, times=times)
        for name, source in kernels.items():
            for side in turn:
                side.ask(f"kernel {name}", what="run", source=source, times=1)
    for side in sides:
        slow = max(side.took.get("start") or [0.0]) > SLOW / 2
        side.ask("memory", what="memory", times=2 if slow else 6)
        side.close()


def kernels_at(scale: float) -> dict[str, str]:
    """Each as a cell that defines it and runs it."""
    tree = ast.parse((HERE / "kernels.py").read_text())
    functions = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    (times,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TIMES"
    )
    often = ast.literal_eval(times)
    return {name: f"{functions[name]}\n{name}({max(1, round(often[name] * scale))})" for name in KERNELS}


def ratio(side: Neighbour, plain: Neighbour, measure: str) -> float | None:
    """How many times as much as plain CPython; of execution the geometric mean, None where a kernel is missing."""
    if measure == "execution":
        parts = [ratio(side, plain, f"kernel {name}") for name in KERNELS]
        known = [part for part in parts if part]
        return statistics.geometric_mean(known) if len(known) == len(parts) else None
    ours, theirs = side.took.get(measure), plain.took.get(measure)
    if not ours or not theirs:
        return None
    return max(statistics.median(ours), 0.0) / statistics.median(theirs) or None


def figure(value: float | None) -> str:
    """Two figures that count."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{round(value, 1 - math.floor(math.log10(value))):,.0f}"
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def table(sides: list[Neighbour]) -> str:
    """The ratios, for a page."""
    plain = sides[0]
    rows = [["", *(side.name for side in sides)], ["---"] + ["---:"] * len(sides)]
    rows += [[text, *(figure(ratio(side, plain, key)) for side in sides)] for key, text in MEASURES.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(rounds: int, scale: float, picture: str | None) -> None:
    sides = everybody()
    compare(sides, rounds, scale)
    print("\nBeside its neighbours: ratios to plain CPython, taken in one run\n")
    print(table(sides))
    for side in sides:
        if side.why:
            print(f"{side.name}: {side.why}")
    if picture:
        plain = sides[0]
        panels = {text: {s.name: ratio(s, plain, key) for s in sides} for key, text in MEASURES.items()}
        Path(picture).write_text(draw(panels, figure))
