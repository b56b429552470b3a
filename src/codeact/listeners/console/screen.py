"""A run drawn on a terminal: finished things scroll up, what is still growing and what is waited for stand below.

Only the sixteen colours of the terminal's own palette are used, so that light and dark both read well; `NO_COLOR` is
respected.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TextIO

from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token  # type: ignore[import-untyped]
from rich.console import Console as Terminal
from rich.console import ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax
from rich.text import Text

from codeact.core.untrusted import escaped

_THEME = ANSISyntaxTheme(
    {
        Token: Style(),
        Comment: Style(dim=True, italic=True),
        Keyword: Style(color="magenta"),
        Operator.Word: Style(color="magenta"),
        Name.Builtin: Style(color="cyan"),
        Name.Function: Style(color="blue"),
        Name.Class: Style(color="blue"),
        Name.Decorator: Style(color="blue"),
        Name.Exception: Style(color="red"),
        Number: Style(color="cyan"),
        String: Style(color="green"),
    }
)
_DRAFT = 12  # lines of growing code that are shown
_WIDEST = 1000  # characters of such a line
_BARS = {"stdout": "dim", "stderr": "yellow"}
_INDENT = "  "


class Screen:
    """A `Canvas` on a terminal."""

    def __init__(self, file: TextIO) -> None:
        self._terminal = Terminal(file=file, highlight=False, markup=False, emoji=False, soft_wrap=False)
        self._below = _Below()
        self._live: Live | None = None
        self._thought = ""
        self._draft = [""]
        self._outputs = {"stdout": "", "stderr": ""}

    # -- the strokes ---------------------------------------------------------------------------------------------------

    def task(self, text: str, variables: list[str]) -> None:
        if text:
            self._print(Text(escaped(text), style="bold"))
        for line in variables:
            self._print(Text(f"{_INDENT}with {escaped(line)}", style="dim"))

    def turn(self, title: str) -> None:
        self._print(Text())
        self._print(Text(f"── {title} ".ljust(min(self._terminal.width, 100), "─"), style="dim"))

    def thought(self, text: str) -> None:
        *paragraphs, self._thought = (self._thought + escaped(text)).split("\n")
        for paragraph in paragraphs:
            self._prose(paragraph)
        self._below.growing = Text(self._thought)

    def end_thought(self) -> None:
        self._prose(self._thought)
        self._thought, self._draft = "", [""]
        self._below.clear()

    def draft(self, text: str) -> None:
        if self._thought:
            self.end_thought()
        first, *more = text.split("\n")
        self._draft[-1] = (self._draft[-1] + first)[-_WIDEST:]
        self._draft = [*self._draft, *more][-_DRAFT:]
        self._below.growing = self._framed(escaped("\n".join(self._draft)))

    def code(self, cell: int, source: str) -> None:
        self._draft = [""]
        self._below.clear()
        self._print(self._framed(escaped(source).strip("\n"), title=f"cell {cell}"))

    def output(self, stream: str, text: str) -> None:
        *lines, self._outputs[stream] = (self._outputs[stream] + text).split("\n")
        for line in lines:
            self._barred(line, _BARS[stream])
        rest = escaped(self._outputs[stream][-200:])
        self._below.growing = Text(f"{_INDENT}│ {rest}", no_wrap=True) if rest else None

    def end_output(self) -> None:
        self._below.clear()
        for stream, rest in self._outputs.items():
            if rest:
                self._barred(rest, _BARS[stream])
            self._outputs[stream] = ""

    def call(self, call: str, result: str, *, failed: bool) -> None:
        line = Text.assemble(_INDENT, ("ƒ ", "blue"), escaped(call), (" → ", "dim"))
        line.append(escaped(result), style="red" if failed else "dim")
        self._terminal.print(line, no_wrap=True, overflow="ellipsis")

    def value(self, text: str) -> None:
        for i, line in enumerate(text.split("\n")):
            self._print(Text.assemble(_INDENT, ("⇒ " if i == 0 else "  ", "cyan"), escaped(line)))

    def failure(self, text: str) -> None:
        *trace, last = text.rstrip("\n").split("\n")
        for line in trace:
            self._barred(line, "red", "dim")
        self._barred(last, "red", "bold red")

    def note(self, text: str) -> None:
        self._print(Text(f"{_INDENT}{escaped(text)}", style="dim"))

    def trouble(self, text: str) -> None:
        self._print(Text(escaped(text), style="bold red"))

    def below(self, who: str, text: str) -> None:
        self._print(Text.assemble(_INDENT * 2, (f"{escaped(who)} ", "magenta"), (escaped(text), "dim")))

    def answer(self, text: str) -> None:
        self._print(Text())
        framed = Panel(
            Text(escaped(text)), title="answer", title_align="left", border_style="green", width=self._width()
        )
        self._print(framed)

    def closing(self, text: str) -> None:
        self._print(Text(escaped(text), style="dim"))
        self.close()

    def wait(self, for_what: str | None) -> None:
        if for_what is None:
            self.close()
            return
        self._below.waiting(escaped(for_what))
        if self._live is None:
            self._live = Live(
                self._below, console=self._terminal, refresh_per_second=12, transient=True, redirect_stdout=False,
                redirect_stderr=False,
            )  # fmt: skip
            self._live.start()

    def close(self) -> None:
        live, self._live = self._live, None
        self._below.idle()
        if live is not None:
            live.stop()

    # -- the brush -----------------------------------------------------------------------------------------------------

    def _width(self) -> int:
        return min(self._terminal.width, 100)

    def _print(self, what: RenderableType) -> None:
        self._terminal.print(what)

    def _prose(self, line: str) -> None:
        if line.strip():
            self._print(Text(line.rstrip()))

    def _barred(self, line: str, bar: str, text: str = "") -> None:
        room = max(self._terminal.width - 4, 8)
        for part in Text(escaped(line).expandtabs(4), style=text).wrap(self._terminal, room):
            self._print(Text.assemble(_INDENT, ("│ ", bar), part))

    def _framed(self, source: str, title: str = "") -> RenderableType:
        width = self._width()
        shown = Syntax(source, "python", theme=_THEME, word_wrap=True, background_color="default")
        if width < 40:  # no room for a frame
            return shown
        return Panel(shown, title=title or None, title_align="left", border_style="blue", width=width)


class _Below:
    """What stands below the finished part: what is growing, and who is being waited for, since when."""

    def __init__(self) -> None:
        self.growing: RenderableType | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._what = ""
        self._since = 0.0

    def waiting(self, for_what: str) -> None:
        if for_what != self._what:
            self._what, self._since = for_what, time.monotonic()

    def clear(self) -> None:
        self.growing = None

    def idle(self) -> None:
        self.growing, self._what = None, ""

    def __rich_console__(self, terminal: Terminal, options: ConsoleOptions) -> Iterator[RenderableType]:
        parts: list[RenderableType] = [] if self.growing is None else [self.growing]
        if self._what:
            seconds = time.monotonic() - self._since
            label = Text(self._what, style="dim", overflow="ellipsis", no_wrap=True)
            if seconds >= 1:
                label.append(f"  {seconds:.0f} s")
            self._spinner.update(text=label)
            parts.append(self._spinner)
        yield Group(*parts)
