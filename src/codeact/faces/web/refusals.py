"""Why a request is refused, as an exception, and as an answer: one shape of JSON for all, which is OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Mapping

from codeact.core.errors import (
    CodeactError,
    ModelError,
    RunDiffers,
    RunLocked,
    SandboxUnavailable,
    UsageError,
)

from .conversation import Busy, Full, Missing


class Refused(Exception):
    """A request that is not served. `status` is HTTP's; `code` names the reason for programs, `param` the key."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.param = param


def refused(error: Exception) -> Refused:
    """What to answer where this was raised: in its words where it is ours, else in none."""
    name = type(error).__name__
    match error:
        case Refused():
            return error
        case Missing():
            return Refused(404, "not_found", str(error))
        case Full():
            return Refused(429, "full", str(error), {"retry-after": "5"})
        case Busy():
            return Refused(409, "busy", str(error))
        case RunLocked() | RunDiffers():
            return Refused(409, name, str(error))
        case SandboxUnavailable():
            return Refused(503, name, str(error))
        case ModelError():
            return Refused(502, name, str(error))
        case UsageError() | TypeError() if isinstance(error, CodeactError):
            return Refused(400, "invalid", str(error))
        case CodeactError():
            return Refused(409, name, str(error))
        case _:
            return Refused(500, "internal", "something went wrong here; the server's log has more")


def body(refusal: Refused) -> bytes:
    """A refusal as JSON."""
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(refusal.status, "invalid_request_error" if refusal.status < 500 else "server_error")
    return json.dumps(
        {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}
    ).encode()
