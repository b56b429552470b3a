"""A run as a person sees it: news in, drawing out. On a terminal it is drawn live; elsewhere it is plain text."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO, assert_never

from codeact.core import likeness
from codeact.core.acting import action_of
from codeact.core.actions import Nothing, Piece, Reader
from codeact.core.approvals import CELL, PLAN
from codeact.core.budget import in_words, number_of
from codeact.core.events import (
    STOPPED,
    ApprovalAsked,
    ApprovalGiven,
    AskedBeside,
    BudgetEnded,
    BudgetWarned,
    CallsAnswered,
    Charged,
    ClockRead,
    CodeContinued,
    CodeRan,
    CodeRefused,
    CodeStarted,
    Compacted,
    Connected,
    Delta,
    Discarded,
    Disconnected,
    Event,
    FilesCollected,
    Forked,
    InputsGiven,
    InterpreterLost,
    InterpreterRestored,
    ModelAsked,
    ModelFailed,
    ModelReplied,
    Nested,
    Noted,
    OutputDelta,
    PlanMade,
    Purpose,
    ReasoningDelta,
    Resumed,
    RunStarted,
    SandboxReady,
    Summarised,
    SummaryAsked,
    TaskEnded,
    TaskGiven,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UserSaid,
    Waiting,
)
from codeact.core.execution import Outcome
from codeact.core.files import File
from codeact.core.messages import NO_USAGE, Reply, Usage
from codeact.core.observations import after_nothing
from codeact.core.untrusted import inline

from ..album import Album
from .ahead import Ahead
from .below import below
from .canvas import Canvas
from .page import Page
from .screen import Screen
from .wording import count, cut, short, shown

_LINES = 100  # of output that are shown of a cell
_CALLS = 6  # tool calls that are shown of a cell, and connections

_ASIDE = {"plan": "plan", "answer": "last answer"}  # what a model is asked for beside its steps

_ENDS = {
    "max_steps": "the steps are used up",
    "budget": "",
    "stalled": "the model stopped acting",
    "cancelled": "cancelled",
    "refused": "the model refused",
    "error": "it failed",
    "paused": "paused",
}


def is_terminal(file: TextIO) -> bool:
    """Whether drawing on it makes sense."""
    return file.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


class Console:
    """A `Listener` that draws. As a context manager it leaves the terminal in order whatever happens.

    On a terminal it saves the pictures and files that code made, and says where; files in any case with `keep`, and in
    the folder `out` where that is given.
    """

    def __init__(self, file: TextIO | None = None, *, out: Path | None = None, keep: bool = False) -> None:
        target = file or sys.stdout
        self._canvas: Canvas = Screen(target) if is_terminal(target) else Page(target)
        self._album, self._keeps = Album(out), is_terminal(target)
        self._keeps_files = keep or self._keeps
        self._model = "the model"
        self._recorded = False
        self._sandbox = ""
        self._level = ""
        self._reader: Reader | None = None
        self._streamed = False
        self._cell = self._lines = self._seen_calls = self._unseen_calls = self._connections = 0
        self._shown = {"stdout": 0, "stderr": 0}
        self._open: dict[str, str] = {}
        self._failed: set[str] = set()
        self._asked: Purpose = "step"
        self._run = RunStarted("", "")
        self._ahead = Ahead(lambda cell, source: self._canvas.code(cell, cut(source)))
        self._begin()

    def _begin(self) -> None:
        self._started = time.monotonic()
        self._steps = 0
        self._calls = 0
        self._usage: Usage = NO_USAGE
        self._made: list[str] = []

    @property
    def saved(self) -> Sequence[tuple[File, Path | None]]:
        """The files that there were so far, each with its place; None where it was not kept."""
        return tuple(self._album.saved)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._canvas.close()

    def remark(self, text: str) -> None:
        """Something to say beside the news."""
        self._canvas.note(text)

    def __call__(self, news: Event | Delta) -> None:
        if self._run.eager and self._ahead.hear(news) and not isinstance(news, CodeStarted):
            return
        match news:
            case TextDelta(text):
                self._streamed = True
                self._read(text)
            case ReasoningDelta():
                self._canvas.wait(f"{self._model} is thinking")
            case OutputDelta(stream, text):
                self._output(stream, text)
            case Waiting(why):
                self._canvas.note(why)
                self._canvas.wait(why)
            case Discarded():  # why is said by what is waited for
                self._canvas.end_thought()
                self._canvas.note("what was said so far does not count")
                self._listen()
            case RunStarted(model=model, sandbox=sandbox):
                self._run = news
                self._recorded = model.startswith("replay:")
                self._model = "the recorded model" if self._recorded else model
                self._sandbox = sandbox
            case SandboxReady(level, python):
                if level != self._level:
                    self._canvas.note(f"sandbox {self._sandbox}, level {level}, Python {python}")
                self._level = level
            case TaskGiven(task, variables, _, files):
                self._begin()
                given = [f"inputs/{name}: {what}" for name, what in files]
                self._canvas.task(task, [*(f"{name} = {preview}" for name, preview in variables), *given])
            case UserSaid(text):
                self._canvas.note(f"you said: {text}")
            case ModelAsked(step, purpose):
                self._asked = purpose
                self._ahead.begin()
                self._canvas.turn(_ASIDE.get(purpose, f"step {step}"))
                self._listen()
            case PlanMade():  # it was drawn as it came, or as it was changed
                pass
            case ModelReplied(reply, broken):
                self._replied(reply, broken)
            case ModelFailed():  # the task's end says why
                self._canvas.end_thought()
            case CodeRefused(source, complaints):
                self._canvas.code(self._cell + (not self._ahead.runs), cut(source))
                for words in complaints:
                    self._canvas.trouble(words)
            case CodeStarted(cell, source):
                self._cell, self._lines, self._seen_calls, self._unseen_calls = cell, 0, 0, 0
                self._connections = 0
                self._shown = {"stdout": 0, "stderr": 0}
                if not self._run.eager:
                    self._canvas.code(cell, cut(source))
                elif self._reader is None:  # it came whole
                    self._ahead.show()
                self._canvas.wait(f"cell {cell} is running")
            case CodeContinued():
                pass
            case CodeRan(_, outcome):
                self._ran(outcome)
            case Connected():
                self._connected(news)
            case Disconnected():
                pass
            case ApprovalAsked():
                self._canvas.wait(None)
            case ApprovalGiven(_, tool, decision, reason, edited):
                words = {"deny": "was not allowed", "edit": "was changed by you"}.get(decision, "was allowed")
                self._canvas.note(f"{tool} {words}" + (f": {reason}" if reason else ""))
                if self._asked == "plan" and tool == PLAN and edited is not None:
                    self._canvas.thought(str(edited.get("plan", "")))
                    self._canvas.end_thought()
                self._canvas.wait(f"cell {self._cell} is running" if tool not in (CELL, PLAN) else None)
            case ToolCalled() | ToolReturned():
                self._tool(news)
            case CallsAnswered(_, answers):
                for one in answers:
                    if one.failed and one.text not in self._failed:  # it never came to the tool
                        self._canvas.call(f"{one.call.name}({cut(one.call.arguments)})", one.text, failed=True)
                self._failed.clear()
                self._canvas.wait(None)
            case InterpreterLost(gone):
                self._canvas.trouble(gone.why)
            case InterpreterRestored(gone):
                then = f"after cell {gone.restored}" if gone.restored else "before the first cell"
                self._canvas.trouble(f"{gone.why}; a copy from {then} goes on")
            case Forked(run, at, say):
                self._canvas.note(f"goes on from {'' if at is None else f'step {at} of '}run {run[:12]}")
                if say:
                    self._canvas.note(f"you said: {say}")
            case Resumed(fresh, cells):
                how = ", with a fresh interpreter" if fresh else likeness.told(cells)
                self._canvas.note(f"goes on where it was cut off{how}")
            case InputsGiven() | ClockRead():
                pass
            case FilesCollected(files, left_out):
                self._made += self._album.files(files, left_out, keep=self._keeps_files)
            case AskedBeside() | BudgetEnded():  # the task's end says why
                pass
            case Compacted():
                self._canvas.note("older output is left out of the prompt, to make room")
            case SummaryAsked():
                self._canvas.wait(f"{self._model} sums up what was done, to make room")
            case Summarised(_, text):
                self._canvas.note(f"summed up, to make room: {inline(text, 300)}" if text else "the start is left out")
                self._canvas.wait(None)
            case Charged():
                self._usage += news.usage
            case BudgetWarned(kind, spent, limit):
                self._canvas.note(f"{number_of(kind, spent)} of {in_words(kind, limit)} are used")
            case Nested():
                for who, line in below(news):
                    self._canvas.below(who, line)
            case Noted(text):
                self._canvas.note(text)
            case TaskEnded():
                self._ended(news)
            case _:
                assert_never(news)

    # -- the reply -----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._reader, self._streamed = Reader(), False
        self._canvas.wait(f"waiting for {self._model}")

    def _read(self, text: str) -> None:
        if self._reader is not None:
            self._draw(self._reader.feed(text))

    def _draw(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            match piece.kind:
                case "prose":
                    if piece.text.strip():
                        self._ahead.show()
                    self._canvas.wait(f"{self._model} is writing")
                    self._canvas.thought(piece.text)
                case "code":
                    self._canvas.wait(f"{self._model} is writing code")
                    self._canvas.draft(piece.text)
                case "thinking":
                    self._canvas.wait(f"{self._model} is thinking")

    def _replied(self, reply: Reply, broken: str | None) -> None:
        self._steps += self._asked == "step"
        if not self._streamed:
            self._read(reply.text)
        if self._reader is not None:
            self._draw(self._reader.close())
        self._reader = None
        self._canvas.end_thought()
        self._canvas.wait(None)
        self._usage += reply.usage
        for note in reply.notes:
            self._canvas.note(note)
        if broken is not None and broken != STOPPED:
            self._ahead.show()
            self._canvas.note(f"the reply {broken}")
        if self._asked != "step" or self._ahead.runs:
            return
        action = action_of(reply, self._run)
        if isinstance(action, Nothing) and reply.finish != "content_filter":
            told, _, _ = after_nothing(action, form=self._run.action, carrier=self._run.carrier).partition("\n")
            self._canvas.note(f"the model is told: {told}")

    # -- the cell ------------------------------------------------------------------------------------------------------

    def _output(self, stream: str, text: str) -> None:
        self._shown[stream] += len(text)
        room = _LINES - self._lines
        self._lines += text.count("\n")
        if room > 0:
            self._canvas.output(stream, "".join(text.splitlines(keepends=True)[:room]))

    def _ran(self, outcome: Outcome) -> None:
        for stream, output in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
            if output and not self._shown[stream]:
                self._output(stream, output)
        self._canvas.end_output()
        unseen = outcome.stdout.count("\n") + outcome.stderr.count("\n") - min(self._lines, _LINES)
        if unseen > 0:
            self._canvas.note(f"{unseen:,} more lines of output")
        if self._unseen_calls:
            self._canvas.note(f"{self._unseen_calls:,} more tool calls")
        if outcome.preview is not None:
            self._canvas.value(cut(outcome.preview))
        for line in self._album.lines(outcome, keep=self._keeps):
            self._canvas.note(line)
        if outcome.error is not None:
            self._canvas.failure(cut(outcome.error.traceback or f"{outcome.error.type}: {outcome.error.message}"))
        self._canvas.wait(None)

    def _connected(self, news: Connected) -> None:
        self._connections += 1
        if self._connections == _CALLS + 1:
            self._canvas.note("more connections")
        elif self._connections <= _CALLS:
            place = f"{news.host}:{news.port}"
            at = f" ({news.address})" if news.address not in (None, news.host) else ""
            self._canvas.note(f"not connected: {news.refused}" if news.refused else f"connected to {place}{at}")

    def _tool(self, news: ToolCalled | ToolReturned) -> None:
        match news:
            case ToolCalled(key, _, tool, arguments, edited):
                self._calls += 1
                given = arguments if edited is None else edited
                self._open[key] = f"{tool}({', '.join(f'{name}={short(value)}' for name, value in given.items())})"
            case ToolReturned(key, returned):
                call = self._open.pop(key, "a tool")
                if returned.failure is not None:
                    words = f"{returned.failure.type}: {returned.failure.message}"
                    self._failed.add(words)
                    self._canvas.call(call, words, failed=True)
                elif self._seen_calls < _CALLS:
                    self._seen_calls += 1
                    self._canvas.call(call, short(returned.value), failed=False)
                else:
                    self._unseen_calls += 1
        waiting = list(self._open.values())
        if any(call.startswith("ask_user(") for call in waiting):  # which writes on this terminal itself
            self._canvas.wait(None)
            return
        self._canvas.wait(
            f"waiting for tool {waiting[0]}" + (f" and {len(waiting) - 1} more" if len(waiting) > 1 else "")
            if waiting
            else f"cell {self._cell} is running"
        )

    # -- the end -------------------------------------------------------------------------------------------------------

    def _ended(self, end: TaskEnded) -> None:
        self._canvas.end_thought()
        self._canvas.end_output()
        self._canvas.wait(None)
        if end.stop_reason == "final_answer":
            self._canvas.answer(shown(end.output))
        elif end.last is not None:
            self._canvas.trouble(f"No final answer: {end.error}. This is the last one, asked for at the end:")
            self._canvas.answer(shown(end.last.value))
        else:
            why = _ENDS.get(end.stop_reason, end.stop_reason)
            self._canvas.trouble(f"No answer: {'. '.join(filter(None, (why, end.error)))}")
        for line in self._made:
            self._canvas.note(line)
        self._canvas.closing(self._sum())

    def _sum(self) -> str:
        seconds = time.monotonic() - self._started
        parts = [count(self._steps, "step")]
        if self._calls:
            parts.append(count(self._calls, "tool call"))
        parts.append(f"{seconds:.1f} s")
        if self._steps:
            parts.append(self._tokens())
        if self._level:
            parts.append(f"sandbox {self._sandbox}, {self._level}")
        return " · ".join(parts)

    def _tokens(self) -> str:
        if self._recorded:
            return "recorded, no tokens"
        if self._usage.input_tokens is None or self._usage.output_tokens is None:
            return "tokens unknown"
        return f"{self._usage.input_tokens:,} tokens in, {self._usage.output_tokens:,} out"
