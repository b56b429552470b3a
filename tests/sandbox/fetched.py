"""What the sandbox `wasm` needs, fetched once into a cache that test runs share; where it cannot be had, a reason."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_PATIENCE = 240.0  # seconds, once


def data_home() -> Path:
    """A folder for XDG_DATA_HOME that has it. Skips the test where the registries are not in reach."""
    place, why = _fetched()
    if why:
        pytest.skip(f"Deno and Pyodide cannot be fetched here: {why}")
    return place


@functools.cache
def _fetched() -> tuple[Path, str]:
    place = _cache()
    program = "from codeact.faces.cli import main; raise SystemExit(main(['fetch', 'wasm']))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "XDG_DATA_HOME": str(place)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return place, f"not within {_PATIENCE:g} s"
    return place, "" if done.returncode == 0 else done.stderr.strip().replace("\n", " ")[-300:]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    place = Path(base, "codeact-tests")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir(), f"codeact-tests-{os.getuid()}")
    return place if os.access(place, os.W_OK) else Path(tempfile.gettempdir(), f"codeact-tests-{os.getuid()}")
