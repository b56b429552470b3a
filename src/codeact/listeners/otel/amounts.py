"""What is counted and measured of all sessions, as OpenTelemetry's metrics."""

from __future__ import annotations

from opentelemetry.metrics import Meter
from opentelemetry.util.types import Attributes

from codeact.core.messages import Usage

_TOKENS = [float(4**power) for power in range(14)]  # both by the conventions for generative AI
_SECONDS = [0.01 * 2**power for power in range(14)]


class Amounts:
    """The instruments. An amount that nobody told is not counted."""

    def __init__(self, meter: Meter) -> None:
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens that a question to a model used, of input and of output",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._asking = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "How long a question to a model took",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._cells = meter.create_counter("codeact.cells", "{cell}", "Cells that ran, by how they ended")
        self._running = meter.create_histogram(
            "codeact.cell.duration", "s", "How long a cell ran", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._calls = meter.create_counter("codeact.tool.calls", "{call}", "Tool calls that were made")
        self._answering = meter.create_histogram(
            "codeact.tool.duration", "s", "How long a tool call took", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._tasks = meter.create_counter("codeact.tasks", "{task}", "Tasks that ended, by why")

    def asked(self, of: dict[str, str], usage: Usage | None, seconds: float) -> None:
        """A question to a model is over."""
        self._asking.record(seconds, of)
        if usage is not None and usage.input_tokens is not None:
            self._tokens.record(usage.input_tokens, {**of, "gen_ai.token.type": "input"})
        if usage is not None and usage.output_tokens is not None:
            self._tokens.record(usage.output_tokens, {**of, "gen_ai.token.type": "output"})

    def ran(self, of: Attributes, seconds: float) -> None:
        """A cell is over."""
        self._cells.add(1, of)
        self._running.record(seconds, of)

    def called(self, of: Attributes, seconds: float) -> None:
        """A tool call is over."""
        self._calls.add(1, of)
        self._answering.record(seconds, of)

    def ended(self, of: Attributes) -> None:
        """A task is over."""
        self._tasks.add(1, of)
