"""The spans of one session: its task, in it the questions to the model and the cells, in those the calls of tools.

A pair of events is a span. The context of OpenTelemetry is set only around what the host does itself: what a tool, or
the client of a model, traces in there stands below its span, and so does the session of an agent that a tool asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_current_span, set_span_in_context

from codeact.core.events import (
    CodeContinued,
    CodeRan,
    CodeStarted,
    Delta,
    Discarded,
    Event,
    ModelAsked,
    Resumed,
    RunStarted,
    SandboxReady,
    SummaryAsked,
    TaskEnded,
    TaskGiven,
    ToolCalled,
    ToolReturned,
    Waiting,
)
from codeact.core.messages import NO_USAGE, Prompt, Reply, Usage

from .amounts import Amounts
from .remarks import remark_of
from .words import Attributes, Written, named, of_usage


class _Open:
    """A span that has begun."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.context = set_span_in_context(span)
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def failed(self, kind: str, words: str = "") -> None:
        self.span.set_attribute("error.type", kind)
        self.span.set_status(Status(StatusCode.ERROR, words or kind))


class _Call(_Open):
    """A tool call, and what is measured of it."""

    def __init__(self, span: Span, tool: str) -> None:
        super().__init__(span)
        self.of = {"gen_ai.tool.name": tool}


class Spans:
    """Follows one session."""

    def __init__(
        self,
        tracer: Tracer,
        amounts: Amounts,
        content: bool,
        run: str,
        agent: str,
        model: str,
        clean: Callable[[str], str],
    ) -> None:
        self._tracer = tracer
        self._amounts = amounts
        self._content = content
        self._run = run
        self._agent = agent
        self._model = named(model)
        self._written = Written(clean)
        self._made_in = context.get_current()
        self._sandbox: Attributes = {}
        self._task: _Open | None = None
        self._chat: _Open | None = None  # of the session's own model
        self._purpose = "step"
        self._cell: _Open | None = None
        self._source = ""
        self._calls: dict[str, _Call] = {}
        self._steps = 0
        self._resumed = False
        self._used: Usage = NO_USAGE

    def __call__(self, item: Event | Delta) -> None:
        """What happened, or passes."""
        match item:
            case RunStarted(sandbox=sandbox):
                self._sandbox["codeact.sandbox"] = sandbox
            case SandboxReady(level):
                self._sandbox["codeact.sandbox.level"] = level
                if self._task is not None:
                    self._task.span.set_attributes(self._sandbox)
            case TaskGiven(task):
                self._end_all("cancelled")
                self._resumed = False
                self._begin_task(task)
            case TaskEnded():
                self._ended(item)
            case ModelAsked(_, purpose):
                self._purpose = purpose
                self._steps += purpose == "step"
            case SummaryAsked():
                self._purpose = "summary"
            case CodeStarted(cell, source):
                self._begin_cell(cell, source)
            case CodeContinued(_, source):
                self._source += source
            case CodeRan():
                self._ran(item)
            case Resumed():
                self._resumed = True
            case ToolCalled():
                self._called(item)
            case ToolReturned():
                self._returned(item)
            case _:
                self._remark(item)

    # -- around what the host does -----------------------------------------------------------------------------------

    @contextmanager
    def asking(self, model: str, prompt: Prompt, beside: bool) -> Iterator[Callable[[Reply], None]]:
        """A question to a model, a span; a tool's stands below the tool."""
        of = named(model)
        about: Attributes = {**of.of, **of.more, **self._identity()}
        if not beside:
            about["codeact.purpose"] = self._purpose
        if self._content:
            about.update(self._written.prompt(prompt))
        below = None if beside else self._in_task()
        name = f"chat {of.model}" if of.model else "chat"
        open_ = _Open(self._tracer.start_span(name, below, SpanKind.CLIENT, about))
        if not beside:
            self._chat = open_
        replies: list[Reply] = []
        measured = dict(of.of)
        before = context.attach(set_span_in_context(open_.span, below))
        try:
            yield replies.append
        except BaseException as error:
            measured["error.type"] = type(error).__name__
            open_.failed(type(error).__name__, self._written.text(str(error))[:1000])
            raise
        finally:
            context.detach(before)
            self._replied(open_, replies, beside)
            self._amounts.asked(measured, replies[0].usage if replies else None, open_.seconds)
            open_.span.end()

    def _replied(self, chat: _Open, replies: list[Reply], beside: bool) -> None:
        if not beside:
            self._chat = None
        for reply in replies:
            chat.span.set_attributes(of_usage(reply.usage))
            chat.span.set_attribute("gen_ai.response.finish_reasons", (reply.finish,))
            if reply.usage.requests > 1:
                chat.span.set_attribute("codeact.model.requests", reply.usage.requests)
            if self._content:
                chat.span.set_attributes(self._written.reply(reply))
            if not beside:
                self._used = self._used + reply.usage

    @contextmanager
    def answering(self, key: str) -> Iterator[None]:
        """What a tool does: what is traced in there stands below its call."""
        call = self._calls.get(key)
        if call is None:
            yield
            return
        before = context.attach(set_span_in_context(call.span))  # on what is there: baggage is kept
        try:
            yield
        finally:
            context.detach(before)

    def close(self) -> None:
        """A task that is at work was cut off."""
        self._end_all("closed")

    # -- the task ----------------------------------------------------------------------------------------------------

    def _identity(self) -> Attributes:
        named_so: Attributes = {"gen_ai.agent.name": self._agent} if self._agent else {}
        return {"gen_ai.conversation.id": self._run, **named_so}

    def _begin_task(self, task: str | None = None) -> _Open:
        about: Attributes = {**self._model.of, **self._identity(), **self._sandbox}
        about["gen_ai.operation.name"] = "invoke_agent"
        if self._resumed:
            about["codeact.resumed"] = True
        if self._content and task is not None:
            about["gen_ai.input.messages"] = self._written.said("user", task)
        here = context.get_current()
        above = here if get_current_span(here).get_span_context().is_valid else self._made_in
        name = f"invoke_agent {self._agent}" if self._agent else "invoke_agent"
        self._task = _Open(self._tracer.start_span(name, above, SpanKind.INTERNAL, about))
        self._steps, self._used, self._resumed = 0, NO_USAGE, False
        return self._task

    def _in_task(self) -> Context:
        """Of the task; one that goes on from a journal begins with the first that is done for it."""
        return (self._task or self._begin_task()).context

    def _ended(self, end: TaskEnded) -> None:
        task = self._task or self._begin_task()
        answered = end.stop_reason == "final_answer" or end.last is not None
        task.span.set_attributes({"codeact.stop_reason": end.stop_reason, "codeact.steps": self._steps})
        if self._used.requests:
            task.span.set_attributes(of_usage(self._used))
        if self._content and answered:
            answer = end.output if end.last is None else end.last.value
            task.span.set_attribute("gen_ai.output.messages", self._written.said("assistant", answer))
        if not answered and end.stop_reason != "paused":
            task.failed(end.error_type or end.stop_reason, self._written.text(end.error or "")[:1000])
        self._amounts.ended({**self._identity_of_agent(), "codeact.stop_reason": end.stop_reason})
        self._end_all(end.stop_reason)

    def _identity_of_agent(self) -> Attributes:
        return {"gen_ai.agent.name": self._agent} if self._agent else {}

    def _end_all(self, why: str) -> None:
        """What is still open was cut off."""
        for call in self._calls.values():
            call.failed(why)
            call.span.end()
        self._calls.clear()
        if self._cell is not None:
            self._cell.failed(why)
            self._cell.span.end()
            self._cell = None
        if self._task is not None:
            if why == "closed":
                self._task.failed(why, "the session was closed in the middle of the task")
            self._task.span.end()
            self._task = None

    # -- cells and calls ---------------------------------------------------------------------------------------------

    def _begin_cell(self, cell: int, source: str, before: float = 0) -> _Open:
        about: Attributes = {"codeact.cell.number": cell, **self._identity(), **self._sandbox}
        at = time.time_ns() - round(before * 1e9)
        self._source = source
        self._cell = _Open(self._tracer.start_span("run_cell", self._in_task(), SpanKind.INTERNAL, about, None, at))
        return self._cell

    def _ran(self, ran: CodeRan) -> None:
        outcome = ran.outcome
        cell = self._cell or self._begin_cell(ran.cell, "", outcome.seconds)  # it was begun before the run went on
        of: Attributes = {"codeact.cell.ended": outcome.ended}
        cell.span.set_attributes({**of, "codeact.cell.seconds": outcome.seconds})
        if self._content:
            texts = {"source": self._source, "stdout": outcome.stdout, "stderr": outcome.stderr}
            texts["value"] = outcome.value or ""
            told = {f"codeact.cell.{name}": self._written.text(text) for name, text in texts.items() if text}
            cell.span.set_attributes(told)
        if outcome.error is not None:
            of["error.type"] = self._written.text(outcome.error.type)[:200]
            words = self._written.text(outcome.error.message) if self._content else ""
            cell.failed(str(of["error.type"]), words)
        self._amounts.ran({"codeact.cell.ended": outcome.ended, "codeact.cell.ok": outcome.ok}, outcome.seconds)
        cell.span.end()
        self._cell = None

    def _called(self, called: ToolCalled) -> None:
        about: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": called.tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": called.key,
            "codeact.cell.number": called.cell,
            **self._identity(),
        }
        if self._content:
            given = called.arguments if called.edited is None else called.edited
            about["gen_ai.tool.call.arguments"] = self._written.json(given)
        above = self._cell.context if self._cell is not None else self._in_task()
        span = self._tracer.start_span(f"execute_tool {called.tool}", above, SpanKind.INTERNAL, about)
        self._calls[called.key] = _Call(span, called.tool)

    def _returned(self, returned: ToolReturned) -> None:
        call = self._calls.pop(returned.key, None)
        if call is None:  # it was called before the run went on
            return
        failure = returned.returned.failure
        if failure is not None:
            call.of["error.type"] = failure.type
            call.failed(failure.type, self._written.text(failure.message) if self._content else "")
        elif self._content:
            call.span.set_attribute("gen_ai.tool.call.result", self._written.json(returned.returned.value))
        self._amounts.called(call.of, call.seconds)
        call.span.end()

    def _remark(self, item: Event | Delta) -> None:
        """What happened in no time stands in the span that it happened in."""
        where = self._chat if isinstance(item, Waiting | Discarded) else self._cell or self._task
        if where is not None and (remark := remark_of(item, self._written)) is not None:
            where.span.add_event(*remark)
