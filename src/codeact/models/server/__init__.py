"""What all models behind a server share: asking, hearing a stream, refusals, deadlines. They differ by dialect."""

from __future__ import annotations

from .asking import Asking
from .dialect import Answer, Dialect
from .draft import Draft
from .line import Deadlines

__all__ = ["Answer", "Asking", "Deadlines", "Dialect", "Draft"]
