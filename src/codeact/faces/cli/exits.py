"""The one table of exit codes, for all commands."""

from __future__ import annotations

DONE = 0  # with an answer, every cell ok
NOT_DONE = 1
USAGE = 2  # unknown flag, unreadable file, no model, missing key
NO_SANDBOX = 3
INTERRUPTED = 130
