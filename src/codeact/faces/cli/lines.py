"""What programs read: lines of JSON, ASCII, never NaN. The keys are a contract."""

from __future__ import annotations

import base64
import json
from typing import Any

from codeact.core.execution import Outcome
from codeact.guest import values


def line(fields: dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(fields, ensure_ascii=True, allow_nan=False)


def cell(number: int, source: str, outcome: Outcome) -> dict[str, Any]:
    """A line of `exec --json`."""
    error = outcome.error
    return {
        "cell": number,
        "source": source,
        "ok": outcome.ok,
        "value": outcome.value,
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "error": error and {"type": error.type, "message": error.message, "traceback": error.traceback},
        "ended": outcome.ended,
        "final_answer": None if outcome.answer is None else by_the_table(outcome.answer.value),
        "kept": outcome.kept,
        "seconds": round(outcome.seconds, 6),
        "images": [base64.b64encode(image.data).decode("ascii") for image in outcome.images],
    }


def by_the_table(value: Any) -> Any:
    """A value by the values table, whole in one tree: long strings as they are, long bytes in base64."""
    packed = values.encode(value)
    return _whole(packed.tree, packed.blobs)


def _whole(tree: Any, blobs: tuple[bytes, ...]) -> Any:
    match tree:
        case {"$str": int(index)}:
            return blobs[index].decode("utf-8", "surrogatepass")
        case {"$bytes": int(index)}:
            return {"$bytes": base64.b64encode(blobs[index]).decode()}
        case dict():
            return {key: _whole(item, blobs) for key, item in tree.items()}
        case list():
            return [_whole(item, blobs) for item in tree]
        case _:
            return tree
