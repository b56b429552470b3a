"""How codeact came into this environment, and so what adds one of its extras to it.

A hint that names the package alone would have people ask an index for whatever is called that there. So it names what
this installation was made from, as pip and uv have written it down beside it (`direct_url.json`, PEP 610); and where
that is gone or was never there, the packages of the extra themselves.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from .shell import quoted

_MARKER = re.compile(r"""\s*(?P<what>[^;]+?)\s*;.*\bextra\s*==\s*['"](?P<extra>[\w.-]+)['"]""")


def adding(extra: str) -> str:
    """The line to type that adds an extra of codeact to the environment that runs now."""
    metadata = import_module("importlib.metadata")  # which reads e-mail: what needs no hint does not load it
    try:
        here = metadata.distribution("codeact")
    except metadata.PackageNotFoundError:
        return f"{_installer()} {_checkout(extra)}"
    return f"{_installer()} {wanted(extra, here)}"


def wanted(extra: str, here: Any) -> str:
    """What that line asks for, quoted for a shell; `here` is codeact's `importlib.metadata.Distribution`."""
    origin = here.read_text("direct_url.json")
    if origin is None:
        return quoted(f"codeact[{extra}]")
    try:
        return _of(json.loads(origin), extra) or _packages(here, extra)
    except (ValueError, KeyError, TypeError, AttributeError):
        return _packages(here, extra)


def _of(origin: dict[str, Any], extra: str) -> str:
    """What this installation was made from, with the extra; nothing where that cannot be named any more."""
    url = urlsplit(str(origin["url"]))
    inner = origin.get("subdirectory")
    if "dir_info" in origin and url.scheme == "file":
        folder = Path(url2pathname(url.path), *([inner] if inner else []))
        if not folder.is_dir():
            return ""
        editable = "-e " if origin["dir_info"].get("editable") else ""
        return editable + quoted(f"{folder}[{extra}]")
    if url.scheme == "file" and not Path(url2pathname(url.path)).is_file():
        return ""
    if url.query or url.password or "@" in url.netloc.removeprefix("git@"):
        return ""  # what opens it is no word for a screen
    place = urlunsplit((url.scheme, url.netloc, url.path, "", ""))
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        place = f"{vcs['vcs']}+{place}@{vcs['commit_id']}"
    part = f"#subdirectory={inner}" if inner else ""
    return quoted(f"codeact[{extra}] @ {place}{part}")


def _packages(here: Any, extra: str) -> str:
    found = (_MARKER.match(line) for line in here.requires or ())
    named = [one["what"] for one in found if one and one["extra"] == extra]
    return " ".join(map(quoted, named)) or quoted(f"codeact[{extra}]")


def _checkout(extra: str) -> str:
    """Where nothing is installed, this file lies in a checkout that somebody has put on Python's path."""
    return "-e " + quoted(f"{Path(__file__).resolve().parents[2]}[{extra}]")


def _installer() -> str:
    """A pip or uv that installs into this environment and no other, whichever the shell would find."""
    if find_spec("pip") is None:
        into = "" if _active() else f" --python {quoted(sys.executable)}"
        return f"{_uv()} pip install{into}"
    found = shutil.which("pip")
    if found and Path(found).parent == Path(sys.executable).parent:
        return "pip install"
    return f"{quoted(sys.executable)} -m pip install"


def _active() -> bool:
    named = os.environ.get("VIRTUAL_ENV")
    return bool(named) and Path(str(named)).resolve() == Path(sys.prefix).resolve()


def _uv() -> str:
    """As the shell finds it; or where `./run` of a checkout has put it, beside the environment."""
    own = Path(sys.prefix).parent / ".tools" / "bin" / "uv"
    return quoted(str(own)) if shutil.which("uv") is None and own.is_file() else "uv"
