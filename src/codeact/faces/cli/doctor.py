"""`codeact doctor`: what this machine gives. Everything is tried, nothing is guessed, and no key is shown."""

from __future__ import annotations

import asyncio
import platform
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from codeact import assemble, stores
from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable
from codeact.core.execution import Policy
from codeact.core.untrusted import escaped

from . import exits, lines
from .arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Look, and tell; the exit code says whether cells can be confined here."""
    parser = Parser("doctor", "What this machine gives: the sandbox, models, versions.", "codeact doctor [--json]")
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output")
    parser.add_argument("--journal", metavar="PATH", help="the file or postgres://... to look at, if not the usual one")
    options = parser.read(argv)
    found = _look(options.journal)
    if options.json:
        print(lines.line(found))
    else:
        print("\n".join(map(escaped, _told(found))))
    return exits.DONE if found["cell"]["ok"] else exits.NO_SANDBOX


def _look(journal: str | None) -> dict[str, Any]:
    report = assemble.machine() if assemble.DEFAULT_SANDBOX == "linux" else None
    folder, there = assemble.fetched()
    return {
        "sandbox": assemble.DEFAULT_SANDBOX,
        "level": report and report.level,
        "layers": [
            {
                "name": layer.name,
                "ok": layer.ok,
                "errno": layer.errno,
                "reason": layer.reason,
                "mend": layer.mend,
                "tried": layer.tried,
            }
            for layer in (report.layers if report else ())
        ],
        "probes": [
            {"name": one.name, "held": one.held, "detail": one.detail} for one in (report.probes if report else ())
        ],
        "gaps": list(report.gaps if report else ()),
        "fetched": {"wasm": {"folder": str(folder), "there": there}},
        "cell": asyncio.run(_cell()),
        "journal": asdict(stores.condition(journal)),
        "models": [
            {"provider": reach.provider, "found": reach.found, "spec": reach.spec}
            for reach in assemble.models_in_reach()
        ],
        "versions": {
            "codeact": version("codeact"),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "executable": sys.executable,
        },
    }


def _journal(found: dict[str, Any]) -> str:
    """What is said of where runs are kept."""
    if found["place"] == "memory":
        return "journal: none; runs are kept while their process lives"
    if not found["ok"]:
        return f"journal: not usable: {found['reason']}"
    form = f"format {found['version']}, can be written" if found["there"] else "made with the first run"
    return f"journal: {found['place']} ({found['server']}, {form})"


async def _cell() -> dict[str, Any]:
    """The proof: a cell is run."""
    before = time.monotonic()
    try:
        async with Cells(assemble.sandbox(assemble.DEFAULT_SANDBOX), Policy()) as cells:
            started = time.monotonic()
            outcome = await cells.run("6 * 7")
    except SandboxUnavailable as error:
        return {"ok": False, "level": None, "reason": f"{error.layer}: {error.cause}", "mend": error.mend}
    return {
        "ok": outcome.value == "42",
        "level": cells.level,
        "start_seconds": round(started - before, 4),
        "cell_seconds": round(outcome.seconds, 6),
    }


def _told(found: dict[str, Any]) -> list[str]:
    versions, cell = found["versions"], found["cell"]
    told = [f"codeact {versions['codeact']}, Python {versions['python']}, {versions['system']}", ""]
    told.append(f"sandbox linux: level {found['level']}" if found["level"] else "sandbox linux: not available here")
    width = max((len(layer["name"]) for layer in found["layers"]), default=0)
    for layer in found["layers"]:
        errno = f" [{layer['errno']}]" if layer["errno"] and layer["errno"] not in layer["reason"] else ""
        told.append(f"  {'ok' if layer['ok'] else '--'}  {layer['name']:<{width}}  {layer['reason']}{errno}")
        if layer["mend"] and not layer["ok"]:
            told.append(f"      {'':<{width}}  mend{'' if layer['tried'] else ' (untried)'}: {layer['mend']}")
    if cell["ok"]:
        start, took = cell["start_seconds"] * 1000, cell["cell_seconds"] * 1000
        told.append(f"  a cell ran at level {cell['level']}: {start:.0f} ms to start, {took:.1f} ms to run")
    else:
        told += [f"  no cell could be run: {cell.get('reason', 'it gave a wrong value')}", f"  {cell.get('mend', '')}"]
    if found["probes"]:
        held = [probe["name"] for probe in found["probes"] if probe["held"]]
        told += ["", f"a locked guest tried {len(found['probes'])} ways out; {len(held)} are shut:"]
        told += textwrap.wrap(", ".join(held), 100, initial_indent="  ", subsequent_indent="  ")
        told += [f"  open: {one['name']}: {one['detail']}" for one in found["probes"] if not one["held"]]
    if found["gaps"]:
        told += ["", f"what level {found['level']} leaves open:", *(f"  - {gap}" for gap in found["gaps"])]
    wasm = found["fetched"]["wasm"]
    told += [
        "",
        f"sandbox wasm: {'in ' + wasm['folder'] if wasm['there'] else 'not here; `codeact fetch wasm` gets it'}",
    ]
    told += ["", _journal(found["journal"])]
    told += ["", "models in reach:"]
    for model in found["models"]:
        told.append(f"  {model['found']}" + (f": --model {model['spec']}" if model["spec"] else ""))
    if not found["models"]:
        told.append("  none: no key in the environment, no server on this machine")
    return told
