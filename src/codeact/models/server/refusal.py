"""What a server said instead of an answer, and which error that is, in words that tell what to do. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from codeact.core.errors import ContextOverflow, ModelError, ModelRejected, ModelUnavailable, nearest

_TOO_LONG = (
    "context length", "context_length", "context window", "context size", "maximum context", "prompt is too long",
    "too many tokens", "too many input tokens", "input is too long", "exceed_context", "exceed context",
    "exceeds the context", "max context length", "prompt too long", "context limit", "reduce the length",
)  # fmt: skip
_NOT_TAKEN = (
    "unsupported", "not support", "n't support", "unknown", "unrecogni", "not permitted", "not allowed",
    "unexpected", "extra input", "extra field", "incompatible", "not available", "only the default",
)  # fmt: skip
_FOR_PICTURES = (400, 404, 415, 422, 500, 501)
_OF_PICTURES = ("image", "multimodal", "multi-modal", "vision", "must be a string", "valid string")
_PERMANENT_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_STATUS = {  # of errors in the middle of a stream, whose kind is all that is said
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "rate_limit_exceeded": 429,
    "api_error": 500, "server_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip


@dataclass(frozen=True)
class Server:
    """Whom we talk to, in the words of a message: never a key, which is only held to strike it out."""

    host: str
    model: str
    key_variable: str | None = None
    key: str | None = field(default=None, repr=False)


class Refused(Exception):
    """A status that is not success, or an error in the middle of a stream (`status` 0 where it gave no number)."""

    def __init__(
        self, status: int, body: str, headers: Mapping[str, str] | None = None, in_stream: bool = False
    ) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.in_stream = in_stream

    @classmethod
    def within(cls, chunk: Mapping[str, Any]) -> Refused:
        """From an error event of a stream."""
        error = chunk.get("error")
        error = error if isinstance(error, dict) else chunk
        code, kind = str(error.get("code")), str(error.get("type"))
        status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else _STATUS.get(code) or _STATUS.get(kind, 0)
        return cls(status, json.dumps(chunk), in_stream=True)


def error_for(refused: Refused, server: Server, models: Sequence[str] | None, now: float) -> ModelError:
    """The error to raise. `models` are the names the server offers, None where unknown; `now` is for dates."""
    status, said = refused.status, _said(refused.body, server)
    code, words = _code(refused.body), refused.body.casefold()
    host, model = server.host, server.model
    says = f" It says: {said}" if said else ""
    if (status in (400, 413, 422, 0) and any(phrase in words for phrase in _TOO_LONG)) or status == 413:
        return ContextOverflow(f"the prompt is longer than {model} at {host} can take.{says}")
    if status == 404 or code in ("model_not_found", "model_not_available"):
        return ModelRejected(_no_model(server, models, says))
    if status == 401:
        return ModelRejected(_no_key(server))
    if status == 403:
        whose = f" with the key in {server.key_variable}" if server.key_variable and server.key else ""
        return ModelRejected(f"{host} does not allow {model}{whose} (403).{says}")
    if status == 402 or code in _PERMANENT_QUOTA:
        return ModelRejected(f"{host} has no credit left for this key ({status}): look at your plan there.{says}")
    if 300 <= status < 400:
        return ModelRejected(
            f"{host} sends the question on to {_target(refused)}, which is not followed, so that no key goes astray; "
            "if that address is right, name it in the model's URL"
        )
    if status == 0:
        return ModelUnavailable(f"{host} broke off its reply with an error.{says}")
    if status in (408, 409, 425, 429) or status >= 500:
        what = "is asked too often" if status == 429 else "does not answer just now"
        return ModelUnavailable(f"{host} {what} ({status}).{says}", retry_after(refused.headers, now))
    return ModelRejected(f"{host} does not take this request for {model} ({status}).{says}")


def rejected_parameter(refused: Refused, sent: Collection[str]) -> str | None:
    """The one of the optional parameters that the server does not know or not take at all, when that is why it refused.

    A value out of range is not that: the user has to hear of it.
    """
    if refused.status not in (400, 422):
        return None
    error, code, words = _error(refused.body), _code(refused.body), refused.body.casefold()
    optional = sorted(sent, key=len, reverse=True)
    if not (code.startswith(("unsupported", "unknown_param")) or any(phrase in words for phrase in _NOT_TAKEN)):
        return None
    named = error.get("param")
    if isinstance(named, str):
        for name in optional:
            if named.split(".")[0] == name:
                return name
    for name in optional:
        if re.search(rf"(?<![a-z0-9_]){re.escape(name)}(?![a-z0-9_])", words):
            return name
    return None


def rejected_pictures(refused: Refused) -> bool:
    """Whether the pictures of a request may be why it was refused. Servers have no common word or status for that."""
    words = refused.body.casefold()
    if refused.status not in _FOR_PICTURES or any(phrase in words for phrase in _TOO_LONG):
        return False
    return any(phrase in words for phrase in _OF_PICTURES)


def advised_instead(refused: Refused, name: str) -> str | None:
    """The other of the two names of the limit on tokens, when the server asks for it."""
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}.get(name)
    return other if other and re.search(rf"(?<![a-z0-9_]){other}(?![a-z0-9_])", refused.body) else None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The wait in seconds that the server asks for: a number or a date; None where it makes no sense."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError, TypeError):
            return None
        return max(seconds, 0.0)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _no_key(server: Server) -> str:
    if server.key_variable is None:
        return f"{server.host} wants a key (401)"
    if server.key is None:
        return f"{server.host} wants a key (401): export {server.key_variable}=..."
    return (
        f"{server.host} does not accept the key in {server.key_variable} (401): export {server.key_variable}=... anew"
    )


def _no_model(server: Server, models: Sequence[str] | None, says: str) -> str:
    if models is None:
        return (
            f"{server.host} does not find {server.model} (404): look at the model's name, and whether the URL is whole "
            f"(it mostly ends in /v1).{says}"
        )
    if server.model in models:
        return f"{server.host} lists {server.model}, but does not serve it (404).{says}"
    some = ", ".join(sorted(models)[:8]) + (", ..." if len(models) > 8 else "")
    near = nearest(server.model, models) or "."
    return f"{server.host} has no model {server.model!r}{near} It has: {some or 'none'}"


def _target(refused: Refused) -> str:
    location = refused.headers.get("location", "")
    host = re.match(r"https?://(?:[^/?#@]*@)?([^/?#@]+)", location)
    return host[1] if host else "another address"


def _error(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and value:
        value = value[0]  # Gemini's endpoint wraps it
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else value if isinstance(value, dict) else {}


def _code(body: str) -> str:
    code = _error(body).get("code")
    return code if isinstance(code, str) else ""


def _said(body: str, server: Server) -> str:
    """The server's own words on one line, cut short, without the key."""
    error = _error(body)
    words = error.get("message") or error.get("detail") or error.get("error")
    if not words:
        words = "" if "<" in body[:200] else body.strip("\"'{}[] \n")  # no web pages, no empty JSON
    line = " ".join((words if isinstance(words, str) else json.dumps(words)).split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    if server.key:
        line = line.replace(server.key, "***")
    return line if len(line) <= 300 else line[:300] + " ..."
