"""Traces and metrics of what a command does, where the environment says where they go: by OpenTelemetry's variables."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from codeact.core.errors import UsageError
from codeact.installation import adding

_WHERE = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_{}_ENDPOINT", "OTEL_{}_EXPORTER")
_PATIENCE = 5000  # milliseconds for what is not sent yet


def wanted(kind: str) -> bool:
    """Whether the environment says where the `TRACES` or the `METRICS` go."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = os.environ.get(f"OTEL_{kind}_EXPORTER", "").strip().lower()
    return exporter != "none" and any(os.environ.get(name.format(kind)) for name in _WHERE)


def wanted_at_all() -> bool:
    """Whether it does for any of them."""
    return wanted("TRACES") or wanted("METRICS")


@contextmanager
def traced() -> Iterator[None]:
    """Send them from here on, the last of them at the end. Raises UsageError where that cannot be done."""
    try:
        from codeact.listeners.otel import instrument, uninstrument

        ends = [begin() for kind, begin in (("TRACES", _traces), ("METRICS", _metrics)) if wanted(kind)]
    except ImportError as error:
        raise UsageError(
            f"the environment asks for traces (OTEL_...), and {error.name or 'OpenTelemetry'} is not installed: "
            f"{adding('otel')}, or set OTEL_SDK_DISABLED=true"
        ) from None
    instrument()
    try:
        yield
    finally:
        uninstrument()
        for end in ends:
            end()


def _exporter(kind: str, otlp: Callable[[], Any], console: Callable[[], Any]) -> Any:
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{kind}_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    match os.environ.get(f"OTEL_{kind}_EXPORTER", "").strip().lower() or "otlp":
        case "console":
            return console()
        case "otlp" if protocol in (None, "", "http/protobuf"):
            return otlp()
        case "otlp":
            raise UsageError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: the command line sends http/protobuf")
        case other:
            raise UsageError(f"OTEL_{kind}_EXPORTER={other}: otlp, console or none")


def _resource() -> Any:
    from opentelemetry.sdk.resources import Resource

    os.environ.setdefault("OTEL_SERVICE_NAME", "codeact")
    return Resource.create()


def _traces() -> Callable[[], object]:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    exporter = _exporter("TRACES", OTLPSpanExporter, lambda: ConsoleSpanExporter(out=sys.stderr))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return lambda: provider.force_flush(_PATIENCE)


def _metrics() -> Callable[[], object]:
    from opentelemetry import metrics
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

    exporter = _exporter("METRICS", OTLPMetricExporter, lambda: ConsoleMetricExporter(out=sys.stderr))
    provider = MeterProvider([PeriodicExportingMetricReader(exporter)], resource=_resource(), shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return lambda: provider.shutdown(timeout_millis=_PATIENCE)
