"""How this program was called: what people are told to type has to work where it was started."""

from __future__ import annotations

import os


def called() -> str:
    """`codeact`; or what a script that calls it, such as `./run` of a checkout, says of itself."""
    return os.environ.get("CODEACT_CALLED") or "codeact"
