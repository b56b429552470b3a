"""`codeact fetch`: what a sandbox needs beyond codeact, got once from the package registries. Never done by itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from codeact import assemble
from codeact.core.errors import UsageError

from . import exits
from .arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Fetch it, and say where it lies."""
    does = "Get what a sandbox needs, once: for wasm, Deno from PyPI and Pyodide from npm. Every file is checked."
    options = Parser("fetch", does, "codeact fetch wasm", "SANDBOX", "which: wasm").read(argv)
    if len(options.words) != 1:
        raise UsageError(f"what to fetch? codeact fetch {' | '.join(assemble.FETCHED)}")
    folder = assemble.fetch(options.words[0], lambda words: print(f"codeact: {words}", file=sys.stderr))
    print(folder)
    return exits.DONE
