"""Runs as OpenTelemetry tells them: which span stands below which, what they say, and what they never say."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from codeact import CodeAgent, ModelError, ToolCallingAgent, tool
from codeact.core.events import Delta, Event, ToolCalled, Waiting
from codeact.core.messages import NativeCall, Prompt, Reply, Usage
from codeact.listeners.otel import Telemetry, instrument, uninstrument
from codeact.ports import Emit
from codeact.testing import ScriptedModel
from codeact.tools.toolbox import llm

pytestmark = pytest.mark.anyio

BIN = Path(sys.executable).parent
USED = Usage(300, 100, 20)
SECRET = "sk-not-for-your-eyes"


class Seen:
    """What was traced and measured."""

    def __init__(self) -> None:
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.traces = TracerProvider(shutdown_on_exit=False)
        self.traces.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.metrics = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        [span] = self.named(name)
        return span

    def tree(self) -> list[str]:
        """The names of all spans, each indented below its parent, in the order in which they began."""
        below: dict[int | None, list[ReadableSpan]] = defaultdict(list)
        for span in sorted(self.spans, key=lambda span: span.start_time or 0):
            below[span.parent.span_id if span.parent else None].append(span)

        def lines(parent: int | None, deep: int) -> Iterator[str]:
            for span in below[parent]:
                yield "  " * deep + span.name
                yield from lines(span.context.span_id, deep + 1)

        return list(lines(None, 0))

    def measured(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def seen() -> Seen:
    return Seen()


def telemetry(seen: Seen, content: bool | None = None) -> Telemetry:
    return Telemetry(content=content, tracer_provider=seen.traces, meter_provider=seen.metrics)


def says(*cells: str) -> ScriptedModel:
    return ScriptedModel(*(Reply(f"```python\n{cell}\n```", usage=USED) for cell in cells))


def tools(seen: Seen) -> list[Any]:
    tracer = seen.traces.get_tracer("of a tool")

    @tool
    def cold(city: str) -> int:
        """Degrees, from a library that is traced itself."""
        with tracer.start_as_current_span(f"GET {city}"):
            return len(city)

    @tool
    async def warm(city: str) -> int:
        """The same, async."""
        with tracer.start_as_current_span(f"POST {city}"):
            await asyncio.sleep(0)
            return len(city)

    return [cold, warm]


def test_a_task_is_a_tree_of_spans_across_the_sandbox_its_tools_and_the_agents_it_calls(seen: Seen) -> None:
    below = CodeAgent(
        model=says("final_answer(cold('Bergen'))"), tools=tools(seen)[:1], name="researcher", description="Looks."
    )
    above = CodeAgent(
        model=says("a = cold('Oslo')", "b = warm('Rome')\nfinal_answer([a, b, researcher('Look.')])"),
        tools=tools(seen),
        managed_agents=[below],
        listeners=[telemetry(seen)],
        name="chief",
    )
    with seen.traces.get_tracer("of the user").start_as_current_span("request"):
        result = above.run("How cold?")
    assert result.output == [4, 4, 6]
    assert seen.tree() == [
        "request",
        "  invoke_agent chief",
        "    chat scripted",
        "    run_cell",
        "      execute_tool cold",
        "        GET Oslo",
        "    chat scripted",
        "    run_cell",
        "      execute_tool warm",
        "        POST Rome",
        "      execute_tool researcher",
        "        invoke_agent researcher",
        "          chat scripted",
        "          run_cell",
        "            execute_tool cold",
        "              GET Bergen",
    ]
    agent, ours = seen.one("invoke_agent chief"), result.run_id
    assert dict(agent.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "custom",
        "gen_ai.request.model": "scripted",
        "gen_ai.agent.name": "chief",
        "gen_ai.conversation.id": ours,
        "gen_ai.usage.input_tokens": 600,
        "gen_ai.usage.output_tokens": 200,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "codeact.sandbox": "linux",
        "codeact.sandbox.level": (agent.attributes or {})["codeact.sandbox.level"],
        "codeact.stop_reason": "final_answer",
        "codeact.steps": 2,
    }
    chat = next(span for span in seen.named("chat scripted") if span.parent == agent.context)
    assert chat.kind is SpanKind.CLIENT
    assert dict(chat.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "custom",
        "gen_ai.request.model": "scripted",
        "gen_ai.agent.name": "chief",
        "gen_ai.conversation.id": ours,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 300,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "codeact.purpose": "step",
    }
    warm = seen.one("execute_tool warm").attributes or {}
    [called] = [one for one in result.events if isinstance(one, ToolCalled) and one.tool == "warm"]
    assert warm["gen_ai.operation.name"] == "execute_tool" and warm["gen_ai.tool.name"] == "warm"
    assert warm["gen_ai.tool.call.id"] == called.key and "gen_ai.tool.call.arguments" not in warm
    assert not [span for span in seen.spans if span.status.status_code is StatusCode.ERROR]


def test_tokens_seconds_cells_and_calls_are_measured(seen: Seen) -> None:
    agent = CodeAgent(
        model=says("cold('Oslo')", "1 / 0", "final_answer(0)"), tools=tools(seen), listeners=[telemetry(seen)]
    )
    agent.run("How cold?")
    measured = seen.measured()
    tokens = {one.attributes["gen_ai.token.type"]: one.sum for one in measured["gen_ai.client.token.usage"]}
    assert tokens == {"input": 900, "output": 300}
    [asked] = measured["gen_ai.client.operation.duration"]
    assert asked.count == 3 and dict(asked.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "custom",
        "gen_ai.request.model": "scripted",
    }
    cells = {
        (one.attributes["codeact.cell.ended"], one.attributes["codeact.cell.ok"]): one.value
        for one in measured["codeact.cells"]
    }
    assert cells == {("done", True): 1, ("done", False): 1, ("final_answer", True): 1}
    assert sum(one.count for one in measured["codeact.cell.duration"]) == 3
    assert [dict(one.attributes) for one in measured["codeact.tool.calls"]] == [{"gen_ai.tool.name": "cold"}]
    assert [dict(one.attributes) for one in measured["codeact.tasks"]] == [{"codeact.stop_reason": "final_answer"}]


def test_what_was_said_is_told_only_when_asked_for_and_secrets_never(seen: Seen) -> None:
    @tool
    def login(key: str) -> dict[str, str]:
        """Log in."""
        return {"said": f"welcome, {key}"}

    @tool
    def fail(key: str) -> None:
        """Fail."""
        raise RuntimeError(f"no such key: {key}")

    cells = (f"login({SECRET!r})['said']", f"print({SECRET!r})\nfail({SECRET!r})", f"final_answer('done: {SECRET}')")
    agent = CodeAgent(model=says(*cells), tools=[login, fail], secrets=[SECRET], listeners=[telemetry(seen)])
    agent.run(f"Log in with {SECRET}.")
    quiet = " ".join(span.to_json() for span in seen.spans)
    assert SECRET not in quiet and "Log in" not in quiet and "welcome" not in quiet and "print(" not in quiet

    loud = Seen()
    agent.replace(model=says(*cells), listeners=[telemetry(loud, content=True)]).run(f"Log in with {SECRET}.")
    assert SECRET not in " ".join(span.to_json() for span in loud.spans)
    task = loud.one("invoke_agent").attributes or {}
    assert json.loads(str(task["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "Log in with ***."}]}
    ]
    assert "done: ***" in str(task["gen_ai.output.messages"])
    called = loud.one("execute_tool login").attributes or {}
    assert json.loads(str(called["gen_ai.tool.call.arguments"])) == {"key": "***"}
    assert json.loads(str(called["gen_ai.tool.call.result"])) == {"said": "welcome, ***"}
    chat = loud.named("chat scripted")[0].attributes or {}
    assert "Log in with ***" in str(chat["gen_ai.input.messages"])
    assert json.loads(str(chat["gen_ai.output.messages"]))[0]["finish_reason"] == "stop"
    assert "***" in str((loud.named("run_cell")[1].attributes or {})["codeact.cell.stdout"])


class Down:
    """A model whose server is down after the first reply."""

    name = "http://127.0.0.1:9/v1#tiny?temperature=0"

    def __init__(self) -> None:
        self._first = says("1 / 0")

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        if prompt.answered:
            emit(Waiting("the server is down; again in 0 s"))
            raise ModelError("the server is down")
        return await self._first.ask(prompt, emit)


def test_what_fails_has_the_status_of_an_error_and_says_of_which_type(seen: Seen) -> None:
    agent = CodeAgent(model=Down(), listeners=[telemetry(seen)])
    with pytest.raises(ModelError):
        agent.run("Divide.")
    cell = seen.one("run_cell")
    assert cell.status.status_code is StatusCode.ERROR
    assert (cell.attributes or {})["error.type"] == "ZeroDivisionError"
    good, bad = seen.named("chat tiny")
    assert good.status.status_code is StatusCode.UNSET and bad.status.status_code is StatusCode.ERROR
    assert [event.name for event in bad.events] == ["codeact.model.waiting"]
    about = bad.attributes or {}
    assert (about["gen_ai.provider.name"], about["server.address"], about["server.port"]) == ("openai", "127.0.0.1", 9)
    assert about["gen_ai.request.temperature"] == 0
    task = seen.one("invoke_agent")
    assert task.status.status_code is StatusCode.ERROR and "down" in (task.status.description or "")


async def test_a_task_that_is_cancelled_leaves_no_span_open(seen: Seen) -> None:
    waits = asyncio.Event()

    @tool
    async def sleep() -> None:
        """Wait."""
        waits.set()
        await asyncio.Event().wait()

    agent = CodeAgent(model=says("sleep()"), tools=[sleep], listeners=[telemetry(seen)])
    work = asyncio.create_task(agent.arun("Wait."))
    await waits.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert seen.tree() == ["invoke_agent", "  chat scripted", "  run_cell", "    execute_tool sleep"]
    assert (seen.one("invoke_agent").attributes or {})["codeact.stop_reason"] == "cancelled"
    assert (seen.one("execute_tool sleep").attributes or {})["error.type"]


def test_a_run_that_goes_on_tells_no_call_again_that_was_made_before(seen: Seen, tmp_path: Path) -> None:
    agent = CodeAgent(model=says("a = cold('Oslo')"), tools=tools(seen), journal=tmp_path / "runs.db")
    with pytest.raises(ModelError):  # out of replies
        first = agent.run("How cold?")
    [told] = agent.store.runs()  # type: ignore[attr-defined]
    again = agent.replace(model=says("", "final_answer(a + warm('Rome'))"), listeners=[telemetry(seen)])
    first = again.resume(told.run)
    assert first.output == 8
    assert [one for one in seen.tree() if not one.lstrip().startswith("GET")] == [
        "invoke_agent",
        "  chat scripted",
        "  run_cell",
        "    execute_tool warm",
        "      POST Rome",
    ]
    assert (seen.one("invoke_agent").attributes or {})["codeact.resumed"] is True


def test_questions_of_a_tool_stand_below_it_and_native_calls_below_the_task(seen: Seen) -> None:
    asks = CodeAgent(model=says("final_answer(llm('Why?'))", "because"), tools=[*llm()], listeners=[telemetry(seen)])
    asks.run("Ask.")
    assert seen.tree() == [
        "invoke_agent",
        "  chat scripted",
        "  run_cell",
        "    execute_tool llm",
        "      chat scripted",
    ]
    native = Seen()
    calls = NativeCall("1", "cold", '{"city": "Oslo"}'), NativeCall("2", "final_answer", '{"value": 4}')
    model = ScriptedModel(*(Reply("", tool_calls=(call,), finish="tool_calls") for call in calls))
    ToolCallingAgent(model=model, tools=tools(native), listeners=[telemetry(native)]).run("How cold?")
    assert native.tree() == [
        "invoke_agent",
        "  chat scripted",
        "  execute_tool cold",
        "    GET Oslo",
        "  chat scripted",
    ]


def test_one_line_traces_every_agent_of_the_process_until_another_leaves_it(seen: Seen) -> None:
    agent = CodeAgent(model=says("final_answer(1)", "final_answer(2)", "final_answer(3)"))
    instrument(tracer_provider=seen.traces, meter_provider=seen.metrics)
    instrument(tracer_provider=seen.traces, meter_provider=seen.metrics)  # again is not twice
    try:
        agent.run("One.")
    finally:
        uninstrument()
    agent.run("Two.")
    assert seen.tree() == ["invoke_agent", "  chat scripted", "  run_cell"]


class Broken:
    """What follows sessions and fails at everything."""

    def __call__(self, item: Event | Delta) -> None:
        raise RuntimeError

    def follow(self, run: str, agent: str, model: str, clean: Any) -> Any:
        return self

    def asking(self, model: str, prompt: Prompt, beside: bool) -> Any:
        raise RuntimeError

    def answering(self, key: str) -> Any:
        raise RuntimeError

    def close(self) -> None:
        raise RuntimeError


def test_what_follows_a_session_cannot_end_it(seen: Seen, caplog: pytest.LogCaptureFixture) -> None:
    agent = CodeAgent(
        model=says("final_answer(cold('Oslo'))"), tools=tools(seen), listeners=[Broken(), telemetry(seen)]
    )
    assert agent.run("How cold?").output == 4
    assert len(seen.named("execute_tool cold")) == 1
    assert "what follows a session failed" in caplog.text


def test_nothing_of_it_is_imported_by_those_who_do_not_ask_for_it() -> None:
    program = (
        "import sys\nfrom codeact import CodeAgent\nfrom codeact.testing import ScriptedModel\n"
        "model = ScriptedModel('```python\\nfinal_answer(1)\\n```')\n"
        "assert CodeAgent(model=model).run('One.').output == 1\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "[]\n", done.stderr


@pytest.fixture
def collector() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    """What OTLP is sent to by HTTP, and what it got, by path."""
    got: dict[str, list[bytes]] = defaultdict(list)

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got[self.path].append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def test_the_command_line_sends_traces_to_where_the_environment_says(
    collector: tuple[str, dict[str, list[bytes]]], tmp_path: Path
) -> None:
    url, got = collector
    (tmp_path / "replies.jsonl").write_text(json.dumps({"text": "```python\nfinal_answer(6 * 7)\n```"}) + "\n")
    environ = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    words = ["run", "What?", "--model", "replay:replies.jsonl", "--json"]
    done = subprocess.run(
        [BIN / "codeact", *words], capture_output=True, text=True, timeout=60, check=False, env=environ, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["output"] == 42
    spans, service = {}, set()
    for body in got["/v1/traces"]:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service |= {one.value.string_value for one in resource.resource.attributes if one.key == "service.name"}
            spans.update({span.name: span for scope in resource.scope_spans for span in scope.spans})
    assert set(spans) == {"invoke_agent", "chat replies.jsonl", "run_cell"} and service == {"codeact"}
    assert spans["run_cell"].parent_span_id == spans["invoke_agent"].span_id
    about = {one.key: one.value.string_value for one in spans["invoke_agent"].attributes}
    assert about["gen_ai.conversation.id"] == told["run_id"]
    names = {
        metric.name
        for body in got["/v1/metrics"]
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {"gen_ai.client.operation.duration", "codeact.cells"} <= names
    off = {**environ, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    done = subprocess.run(
        [BIN / "codeact", *words], capture_output=True, text=True, timeout=60, check=False, env=off, cwd=tmp_path
    )
    assert done.returncode == 2 and "http/protobuf" in done.stderr and "Traceback" not in done.stderr
