"""Runs as OpenTelemetry tells them: spans by the conventions for generative AI, and metrics.

from codeact.listeners.otel import instrument
instrument()  # every agent of this process, with the providers of spans and metrics that are set for it

Or for one agent, and those that it calls: `CodeAgent(..., listeners=[Telemetry()])`. Nothing of it is imported before.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

from codeact.installation import adding

try:
    from opentelemetry import metrics, trace
except ImportError as error:
    raise ImportError(f"telemetry needs OpenTelemetry ({error}): {adding('otel')}") from None

from codeact.core.events import Delta, Event
from codeact.following import EVERYWHERE

from .amounts import Amounts
from .spans import Spans

_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_SCHEMA = "https://opentelemetry.io/schemas/1.37.0"


class Telemetry:
    """A listener that makes spans and metrics of the sessions of an agent, and of the agents that it calls.

    What models, tools and code were given and said is in them only with `content`, or where the environment variable
    `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is `true`; the agent's `secrets` never are.
    """

    def __init__(
        self,
        *,
        content: bool | None = None,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._content = os.environ.get(_CONTENT, "").strip().lower() == "true" if content is None else content
        ours = version("codeact")
        self._tracer = trace.get_tracer("codeact", ours, tracer_provider, _SCHEMA)
        self._amounts = Amounts(metrics.get_meter("codeact", ours, meter_provider, _SCHEMA))

    def __call__(self, item: Event | Delta) -> None:
        """Nothing: every session is followed by itself."""

    def follow(self, run: str, agent: str, model: str, clean: Callable[[str], str]) -> Spans:
        """What makes the spans of one session."""
        return Spans(self._tracer, self._amounts, self._content, run, agent, model, clean)


_ours: list[Telemetry] = []


def instrument(
    *,
    content: bool | None = None,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> None:
    """Trace and measure all sessions of this process that begin from now on; again, with these settings instead."""
    uninstrument()
    made = Telemetry(content=content, tracer_provider=tracer_provider, meter_provider=meter_provider)
    _ours.append(made)
    EVERYWHERE.append(made)


def uninstrument() -> None:
    """Leave those alone that begin from now on. Safe to repeat."""
    while _ours:
        EVERYWHERE.remove(_ours.pop())
