"""A task as HTML, from its events: whole, or as it stands while it goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from codeact.core import likeness
from codeact.core.actions import Reader
from codeact.core.events import (
    ApprovalAsked,
    ApprovalGiven,
    CallsAnswered,
    CodeContinued,
    CodeRan,
    CodeRefused,
    CodeStarted,
    Delta,
    Discarded,
    Event,
    FilesCollected,
    Forked,
    InterpreterLost,
    InterpreterRestored,
    ModelAsked,
    ModelReplied,
    Nested,
    Noted,
    OutputDelta,
    ReasoningDelta,
    Resumed,
    SandboxReady,
    TaskEnded,
    TaskGiven,
    TextDelta,
    ToolCalled,
    ToolReturned,
    UserSaid,
    Waiting,
)
from codeact.core.execution import Outcome
from codeact.core.files import what

from . import markup

_STEPS = 20  # that are shown whole: a page of a thousand would be drawn anew a thousand times
_CALLS = 10  # of a step
_TAIL = 8_000  # characters of output that are shown while it runs
_TITLES = {"plan": "plan", "answer": "last answer"}


class Part:
    """A step, as far as it is known."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.running = True
        self.thought = self.source = self.output = ""
        self.waits = "waiting for the model"
        self.lines: list[str] = []  # what was called, and said beside
        self.calls: dict[str, str] = {}
        self.called = 0
        self.result = ""
        self.streamed = False
        self.reader = Reader()

    def read(self, text: str, *, last: bool = False) -> None:
        """More of the reply."""
        for piece in [*self.reader.feed(text), *(self.reader.close() if last else [])]:
            if piece.kind == "prose":
                self.thought += piece.text
            elif piece.kind == "code":
                self.source += piece.text

    def html(self) -> str:
        """As it stands."""
        parts = [f'<div style="margin-top:.5em;font-weight:600">{markup.text(self.title)}</div>']
        if self.thought.strip():
            parts.append(markup.said(self.thought))
        if self.source.strip():
            parts.append(markup.code(self.source))
        parts += self.lines
        if self.called > _CALLS:
            parts.append(markup.note(f"{self.called - _CALLS:,} more calls"))
        if self.running and self.output:
            parts.append(markup.block(self.output[-_TAIL:]))
        if self.running and self.waits:
            parts.append(markup.note(self.waits))
        return "".join(parts) + self.result


class Page:
    """What a notebook shows of a session: its last task."""

    def __init__(self) -> None:
        self._begin("")

    def _begin(self, head: str) -> None:
        self._head, self._end = head, ""
        self._done: list[str] = []  # steps that change no more, as they are drawn
        self._part: Part | None = None
        self._steps = 0

    def html(self) -> str:
        """As it stands."""
        left = len(self._done) - _STEPS
        parts = [self._head]
        if left > 0:
            parts.append(markup.note(f"{left:,} steps before are not shown"))
        parts += self._done[max(left, 0) :]
        if self._part is not None:
            parts.append(self._part.html())
        return markup.framed([*parts, self._end])

    def hear(self, item: Event | Delta) -> bool:
        """Take in what happened, or passes; whether anything is to be seen of it."""
        part = self._part
        match item:
            case TaskGiven(task, variables):
                self._begin(f'<div style="font-weight:600">{markup.text(task)}</div>')
                self._head += "".join(markup.note(f"{name} = {preview}") for name, preview in variables)
            case ModelAsked(step, purpose):
                self._close()
                self._part = Part(_TITLES.get(purpose, f"Step {step}"))
            case TextDelta(text) if part is not None:
                part.streamed, part.waits = True, ""
                part.read(text)
            case ReasoningDelta() if part is not None and part.waits != "thinking":
                part.waits = "thinking"
            case Waiting(why) if part is not None:
                part.waits = why
            case Discarded() if part is not None:
                part.thought = part.source = ""
                part.streamed, part.reader = False, Reader()
            case ModelReplied(reply) if part is not None:
                part.waits = ""
                part.read("" if part.streamed else reply.text, last=True)
            case CodeStarted(_, source) if part is not None:
                part.source, part.waits = source, "running"
            case CodeContinued(_, source) if part is not None:
                part.source += source
            case OutputDelta(_, text) if part is not None:
                part.output = (part.output + text)[-2 * _TAIL :]
            case CodeRan(_, outcome) if part is not None:
                part.result, part.waits = html_of_outcome(outcome), ""
            case ToolCalled() if part is not None:
                self._called(part, item)
            case ToolReturned(key, returned) if part is not None and key in part.calls:
                failed = returned.failure
                how = f"failed: {failed.type}: {failed.message}" if failed is not None else f"gave {returned.value!r}"
                part.lines.append(markup.note(f"{part.calls.pop(key)} {how}"[:300]))
            case CallsAnswered(_, answers) if part is not None:
                part.lines += [markup.block(one.text) for one in answers if one.failed]
            case TaskEnded():
                self._close()
                self._end = _end(item)
            case _:
                return self._remark(item)
        return True

    def _remark(self, item: Event | Delta) -> bool:
        match item:
            case CodeRefused(source, complaints) if self._part is not None:
                self._part.source = source
                self._part.lines += [markup.block(one, "error") for one in complaints]
                return True
            case FilesCollected(files, left_out):
                words = [f"file {file.name} ({what(file)})" for file in files]
                words += [f"left out: {one.name}: {one.why}" for one in left_out]
            case SandboxReady(level, python):
                words = [f"sandbox of the level {level}, Python {python}"] if not self._head else []
            case UserSaid(text):
                words = [f"you said: {text}"]
            case ApprovalAsked(_, _, tool):
                words = [f"{tool} waits for an approval"]
            case ApprovalGiven(_, tool, decision):
                words = [f"{tool}: {decision}"]
            case InterpreterLost(gone) | InterpreterRestored(gone):
                words = [gone.why]
            case Resumed(_, cells):
                words = [f"goes on where it was cut off{likeness.told(cells)}"]
            case Forked(run):
                words = [f"goes on from run {run[:12]}"]
            case Nested(_, agent, _, TaskGiven(task)):
                words = [f"{agent} is asked: {task}"[:300]]
            case Noted(text):
                words = [text]
            case _:
                return False
        notes = [markup.note(one) for one in words]
        if self._part is not None:
            self._part.lines += notes
        else:
            self._done += notes
        return bool(notes)

    def _called(self, part: Part, call: ToolCalled) -> None:
        part.called += 1
        if part.called <= _CALLS:
            arguments = call.arguments if call.edited is None else call.edited
            given = ", ".join(f"{name}={value!r:.60}" for name, value in arguments.items())
            part.calls[call.key] = f"{call.tool}({given})"

    def _close(self) -> None:
        if self._part is not None:
            self._part.running = False
            self._done.append(self._part.html())
            self._part = None


def _end(end: TaskEnded) -> str:
    if end.stop_reason == "final_answer" or end.last is not None:
        answer: Any = end.output if end.last is None else end.last.value
        return '<div style="margin-top:.5em;font-weight:600">Answer</div>' + markup.value(answer)
    why = f"no answer: {end.stop_reason}" + (f": {end.error}" if end.error else "")
    return markup.block(why, "error")


def html_of(events: Iterable[Event]) -> str:
    """The steps and the end of a task."""
    page = Page()
    for event in events:
        page.hear(event)
    return page.html()


def html_of_result(answer: Any, answered: bool, why: str, told: str, events: Iterable[Event]) -> str:
    """A result: the answer, or why there is none; what it took; and, folded, all of it."""
    head = markup.value(answer) if answered else markup.block(why, "error")
    return head + markup.folded(told, html_of(events))


def html_of_outcome(outcome: Outcome) -> str:
    """What came of a cell."""
    parts = [markup.block(text) for text in (outcome.stdout, outcome.stderr) if text.strip()]
    shown = outcome.preview if outcome.preview is not None else outcome.value
    parts += [markup.shown(shown)] if shown is not None else []
    parts += [markup.picture(image) for image in outcome.images]
    if outcome.error is not None:
        parts.append(markup.block(outcome.error.traceback or f"{outcome.error.type}: {outcome.error.message}", "error"))
    return "".join(parts)
