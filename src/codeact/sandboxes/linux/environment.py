"""Whose packages a guest sees: find out about a Python by running it once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...core.errors import UsageError

# -S: no .pth line of it is run. What `site` would add is found by the rules of site.py and PEP 405 instead.
_QUESTION = """
import json, os, sys, sysconfig
executable = sys.executable
prefix = sys.prefix
for folder in (os.path.dirname(executable), os.path.dirname(os.path.dirname(executable))):
    if os.path.isfile(os.path.join(folder, "pyvenv.cfg")):
        prefix = os.path.dirname(executable) if folder == os.path.dirname(executable) else folder
        break
names = {"base": prefix, "platbase": prefix}
scheme = "venv" if prefix != sys.base_prefix else sysconfig.get_default_scheme()
places = sysconfig.get_paths(scheme, vars=names)
mapped = []
try:
    with open("/proc/self/maps") as maps:
        mapped = sorted({line.split(None, 5)[5].rstrip() for line in maps if "/" in line})
except OSError:
    pass
print(json.dumps({
    "version": list(sys.version_info[:3]), "implementation": sys.implementation.name, "executable": executable,
    "prefix": prefix, "base": sys.base_prefix, "base_exec": sys.base_exec_prefix, "standard": sys.path,
    "site": [places["purelib"], places["platlib"]], "mapped": mapped,
}))
"""
_SYSTEM = ("/", "/usr", "/usr/local")
_OF_A_PREFIX = ("bin", "lib", "lib64", "share", "pyvenv.cfg")
_OF_THE_SYSTEM = ("lib", "lib64")
_ALWAYS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python and what belongs to it. `visible` are the files and folders that a guest may read, nothing else."""

    executable: str
    version: tuple[int, int, int]
    prefix: str
    site: tuple[str, ...]
    visible: tuple[str, ...]
    stamp: tuple[int, ...]  # another one where the environment was made anew at the same path
    certificates: str | None = None  # the file of those who are trusted, where it is visible


def find(python: str | None) -> Environment:
    """The environment of an interpreter or of a virtual environment's folder; None is the running one's.

    Raises UsageError. The answer is kept: packages installed later are seen, new `.pth` lines are not.
    """
    return found(python) or _ask(executable := _executable(python), _stamp(executable))


def found(python: str | None) -> Environment | None:
    """The answer that is kept, without running anything; None where there is none yet. Raises UsageError."""
    executable = _executable(python)
    return _answers.get((executable, _stamp(executable)))


def _executable(python: str | None) -> str:
    if python is None:
        return sys.executable
    path = Path(python).expanduser().absolute()
    if path.is_dir():
        candidates = [path / "bin" / "python", path / "bin" / "python3"]
        first = next((candidate for candidate in candidates if candidate.exists()), None)
        if first is None:
            raise UsageError(f"python={python!r}: this folder is no virtual environment: it has no bin/python")
        return str(first)
    if not path.is_file():
        raise UsageError(f"python={python!r}: there is no interpreter and no virtual environment at {path}")
    return str(path)


def _stamp(executable: str) -> tuple[int, ...]:
    """What changes when an interpreter is replaced, or a virtual environment is made anew."""
    stamp: tuple[int, ...] = ()
    for path in _of_it(executable):
        try:
            found = os.lstat(path)
        except OSError:
            continue
        stamp += (found.st_ino, found.st_mtime_ns)
    return stamp


@cache
def _of_it(executable: str) -> tuple[str, ...]:
    beside = os.path.dirname(executable)
    return executable, f"{beside}/pyvenv.cfg", f"{beside}/../pyvenv.cfg"


_answers: dict[tuple[str, tuple[int, ...]], Environment] = {}  # grows by one when a Python is made anew


def _ask(executable: str, stamp: tuple[int, ...]) -> Environment:
    try:
        said = subprocess.run(
            [executable, "-I", "-S", "-c", _QUESTION],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        if said.returncode:
            raise ValueError(_end(said.returncode, said.stderr))
        if not said.stdout:
            raise ValueError("it said nothing")
        facts = json.loads(said.stdout)
        version = tuple(facts["version"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{executable} does not answer as CPython 3.11 or newer does: {error}") from None
    if facts["implementation"] != "cpython" or version < (3, 11):
        other = f"{facts['implementation']} {'.'.join(map(str, version))}"
        raise UsageError(f"{executable} is {other}; CPython 3.11 or newer is needed")
    site = _site(facts)
    answer = Environment(facts["executable"], version, facts["prefix"], site, _visible(facts, site), stamp)
    return _answers.setdefault((executable, stamp), answer)


def _end(code: int, stderr: bytes) -> str:
    last = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    how = f"it left with status {code}" if code > 0 else f"it was ended by signal {-code}"
    return ": ".join(filter(None, (how, last[-200:])))


def _site(facts: dict[str, list[str] | str]) -> tuple[str, ...]:
    """The folders of installed packages, in the order of site.py."""
    places = list(facts["site"])
    version = ".".join(map(str, facts["version"][:2]))
    if facts["prefix"] == facts["base"] or _sees_system_packages(str(facts["prefix"])):
        base = str(facts["base"])
        places.append(f"{base}/lib/python{version}/site-packages")
        if base == "/usr":  # Debian's own place
            places += [f"/usr/local/lib/python{version}/dist-packages", "/usr/lib/python3/dist-packages"]
    return tuple(dict.fromkeys(place for place in places if os.path.isdir(place)))


def _sees_system_packages(prefix: str) -> bool:
    try:
        text = Path(prefix, "pyvenv.cfg").read_text("utf-8", "replace")
    except OSError:
        return False
    pairs = (line.partition("=") for line in text.splitlines())
    return any(k.strip() == "include-system-site-packages" and v.strip().lower() == "true" for k, _, v in pairs)


def _visible(facts: dict[str, list[str] | str], site: tuple[str, ...]) -> tuple[str, ...]:
    """What must be readable, without doubles, the shorter paths first. A prefix gives its usual folders, never all of
    itself: a virtual environment made in a project's folder must not show the project."""
    paths = [str(facts["executable"]), *_ALWAYS, *facts["standard"], *site, *facts["mapped"]]
    for prefix in (facts["prefix"], facts["base"], facts["base_exec"]):
        names = _OF_THE_SYSTEM if prefix in _SYSTEM else _OF_A_PREFIX
        paths += [os.path.join(str(prefix), name) for name in names]
    for folder in site:
        paths += path_lines(folder)
    return outermost(paths)


def path_lines(folder: str) -> list[str]:
    """The folders named by the path lines of `.pth` files; their import lines are for `site`, which never runs."""
    found = []
    for file in sorted(Path(folder).glob("*.pth")):
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for line in lines:
            text = line.strip()
            if text and not text.startswith(("#", "import ", "import\t")):
                found.append(os.path.normpath(os.path.join(folder, text)))
    return found


def outermost(paths: list[str]) -> tuple[str, ...]:
    """The paths that exist and do not lie below another one that is named the same way."""
    kept: list[str] = []
    for path in sorted({os.path.abspath(path) for path in paths if os.path.exists(path)}):
        if path not in _SYSTEM and not any(path.startswith(above + "/") for above in kept):
            kept.append(path)
    return tuple(kept)
