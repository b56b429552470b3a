"""How much a model of Ollama can see, from what its server says of it. Pure.

https://docs.ollama.com/context-length
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from codeact.models.server.draft import record, records, words

ENOUGH = 16_384  # tokens: the system prompt, and some steps with what came of them
_DEFAULT = 4096  # what a server on a small machine takes when nobody says anything


@dataclass(frozen=True, slots=True)
class Context:
    """Tokens of context: what the model runs with now, what its file says, what it was made for; None where untold."""

    running: int | None = None
    written: int | None = None
    largest: int | None = None

    def note(self, model: str, asked_for: int | None) -> str | None:
        """What the user should hear, if anything."""
        if self == Context():
            return None  # the server does not tell: it may be another that only speaks the protocol
        if asked_for is not None and self.largest is not None and asked_for > self.largest:
            return (
                f"{model} was made for {self.largest:,} tokens of context: num_ctx={asked_for} is more than it can see"
            )
        length = self.running or asked_for or self.written or _DEFAULT
        if length >= ENOUGH:
            return None
        more = min(2 * ENOUGH, self.largest or 2 * ENOUGH)
        mend = f"; ollama:{model}?num_ctx={more} asks for more" if more > length else ""
        return (
            f"Ollama runs {model} with {length:,} tokens of context, and cuts a longer prompt without a word: that is "
            f"little for an agent{mend}"
        )


def context_of(model: str, shown: Any, running: Any) -> Context:
    """From the answers of `/api/show` and `/api/ps`."""
    largest = None
    for key, value in record(record(shown).get("model_info")).items():
        if key.endswith(".context_length"):
            largest = _count(value)
    said = re.search(r"^num_ctx\s+(\d{1,9})\s*$", words(record(shown).get("parameters")), re.MULTILINE)
    now = None
    for entry in records(record(running).get("models")):
        if model in (entry.get("model"), entry.get("name")) or f"{model}:latest" == entry.get("model"):
            now = _count(entry.get("context_length"))
    return Context(now, int(said[1]) if said else None, largest)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
