"""What came of an evaluation, for people and for programs: progress, a table, a picture, a line of JSON."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import asdict
from types import TracebackType
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from codeact.evals import figures, picture
from codeact.evals.figures import Figures
from codeact.evals.results import Result, Results
from codeact.evals.tasks import TaskSet
from codeact.listeners.console import is_terminal


class Progress:
    """Says how far it is: a bar on a terminal, a line for each task elsewhere. Called with every result."""

    def __init__(self, file: TextIO, whole: int, done: int) -> None:
        self._file, self._whole, self._done, self._solved = file, whole, done, 0
        self._bar: Bar | None = None
        if is_terminal(file):
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Bar(*columns, console=Console(file=file), transient=True)
            self._task = self._bar.add_task("", total=whole, completed=done)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, result: Result) -> None:
        self._done += 1
        self._solved += result.solved
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, description=f"{self._solved} solved")
            return
        came = "solved" if result.solved else ("wrong" if result.answer is not None else result.stop_reason)
        came = came if result.answered else "not asked"
        turns = "1 turn" if result.turns == 1 else f"{result.turns} turns"
        line = f"{self._done}/{self._whole}  {result.action}  {came:<9} {turns:>8}  {result.task}"
        print(line, file=self._file, flush=True)


class Report:
    """The results of these tasks, counted."""

    def __init__(self, tasks: TaskSet, model: str, results: Results, names: Set[str]) -> None:
        self._set, self._model, self._path = tasks, model, results.path
        found = [one for one in results.all() if one.task in names]
        self._found = figures.by_action(found)

    def line(self, complete: bool, error: BaseException | None) -> dict[str, Any]:
        """The line of `eval --json`; null is what nobody knows."""
        return {
            "set": self._set.name,
            "variant": self._set.variant or None,
            "model": self._model,
            "results": {form: _counted(found) for form, found in self._found.items()},
            "complete": complete,
            "file": str(self._path.absolute()),
            "error": None if error is None else {"type": type(error).__name__, "message": str(error)},
        }

    def picture(self) -> str:
        """The same as SVG."""
        return picture.draw(self._rows(), self._title())

    def show(self, file: TextIO) -> None:
        """The same as a table, with what one form of action costs beside another."""
        if not self._found:
            return
        console = Console(file=file, highlight=False, width=None if is_terminal(file) else _WIDTH)
        table = Table(
            title=self._title(), title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        table.add_column("", no_wrap=True, max_width=max(12, console.width - _OTHERS))
        table.add_column("action", no_wrap=True, min_width=6)
        for heading, width in _COLUMNS:
            table.add_column(heading, justify="right", no_wrap=True, min_width=width)
        for name, forms in self._rows().items():
            *_, last = forms
            for number, (form, one) in enumerate(forms.items()):
                table.add_row(
                    Text("" if number else name), form, *_cells(one), end_section=form == last != next(iter(forms))
                )
        console.print(table)
        for sentence in self._compared():
            console.print(sentence, soft_wrap=True)
        console.print(Text(f"All but `solved` are means of a task. Results: {self._path}"), soft_wrap=True)

    def _title(self) -> str:
        return ", ".join(filter(None, (self._set.name, self._set.variant, self._model)))

    def _rows(self) -> dict[str, dict[str, Figures]]:
        """`all` and then each domain, by form of action."""
        rows = {"all": {form: figures.of(found) for form, found in self._found.items()}}
        for form, found in self._found.items():
            for name, part in figures.by_domain(found).items():
                rows.setdefault(name, {})[form] = figures.of(part)
        return rows if len(rows) > 2 else {"all": rows["all"]}

    def _compared(self) -> list[str]:
        """What the other forms cost beside code, over the tasks that both have done."""
        said = []
        code = {one.task: one for one in self._found.get("code", [])}
        for form, found in self._found.items():
            both = [one for one in found if form != "code" and one.task in code]
            if both:
                theirs, ours = figures.of(both), figures.of([code[one.task] for one in both])
                said.append(
                    f"Beside code, {form} took {_times(theirs.turns, ours.turns)} times the turns, "
                    f"{_times(theirs.input_bytes, ours.input_bytes)} times the bytes read and "
                    f"{_times(theirs.output_bytes, ours.output_bytes)} times the bytes written, over {len(both)} tasks."
                )
        return said


_WIDTH = 110  # where it is not a terminal that says its own
_OTHERS = 71  # what all columns but the first take
_COLUMNS = (
    ("solved", 6),
    ("%", 5),
    ("turns", 5),
    ("tokens\nin", 6),
    ("tokens\nout", 6),
    ("bytes\nin", 6),
    ("bytes\nout", 5),
    ("sec.", 5),
)


def _cells(one: Figures) -> list[str]:
    def figure(value: float | None, digits: int = 0) -> str:
        return "–" if value is None else f"{value:,.{digits}f}"

    return [
        f"{one.solved}/{one.tasks}",
        figure(None if one.success is None else 100 * one.success, 1),
        figure(one.turns, 1),
        *(figure(value) for value in (one.input_tokens, one.output_tokens, one.input_bytes, one.output_bytes)),
        figure(one.seconds, 2),
    ]


def _times(value: float | None, to: float | None) -> str:
    found = figures.ratio(value, to)
    return "–" if found is None else f"{found:.1f}"


def _counted(found: Sequence[Result]) -> dict[str, Any]:
    domains = {name: _fields(figures.of(part)) for name, part in figures.by_domain(found).items()}
    return {**_fields(figures.of(found)), "domains": domains}


def _fields(one: Figures) -> dict[str, Any]:
    found = {"tasks": one.tasks, "solved": one.solved, "success": one.success, **asdict(one)}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}
