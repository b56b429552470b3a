"""Where a user's own files lie: by the XDG variables wherever they are set, else as the platform has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def state(environ: Mapping[str, str] = os.environ) -> Path:
    """What is kept and can be missed: `$XDG_STATE_HOME/codeact`, or below `~/.local/state` or `%LOCALAPPDATA%`."""
    return _place(environ, "XDG_STATE_HOME", "LOCALAPPDATA", ".local", "state")


def data(environ: Mapping[str, str] = os.environ) -> Path:
    """What was fetched: `$XDG_DATA_HOME/codeact`, or below `~/.local/share` or `%LOCALAPPDATA%`."""
    return _place(environ, "XDG_DATA_HOME", "LOCALAPPDATA", ".local", "share")


def cache(environ: Mapping[str, str] = os.environ) -> Path:
    """What can be made again: `$XDG_CACHE_HOME/codeact`, or below `~/.cache` or `%LOCALAPPDATA%`."""
    return _place(environ, "XDG_CACHE_HOME", "LOCALAPPDATA", ".cache")


def config(environ: Mapping[str, str] = os.environ) -> Path:
    """What the user has written: `$XDG_CONFIG_HOME/codeact`, or below `~/.config` or `%APPDATA%`."""
    return _place(environ, "XDG_CONFIG_HOME", "APPDATA", ".config")


def _place(environ: Mapping[str, str], variable: str, of_windows: str, *below: str) -> Path:
    named = [environ.get(variable, "")]
    if sys.platform == "win32":
        named.append(environ.get(of_windows, ""))
    for base in named:
        if os.path.isabs(base):  # a relative one would be the working directory's
            return Path(base, "codeact")
    return Path(environ.get("HOME") or os.path.expanduser("~"), *below, "codeact")
