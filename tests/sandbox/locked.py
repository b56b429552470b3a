"""Code under the filters alone, in a process of its own: no launcher, no namespaces."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

_FRAME = """
import sys
sys.path.insert(0, {source!r})
from codeact.sandboxes.linux import landlock, seccomp, syscalls
{before}
syscalls.call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
{walls}
if program is not None:
    seccomp.install(program)
{code}
"""


def locked(code: str, *, before: str = "program = None", walls: str = "") -> str:
    """What `code` printed. `before` runs free and names the filter `program`; `walls` runs without new privileges."""
    text = _FRAME.format(
        source=str(SOURCE), before=textwrap.dedent(before), walls=textwrap.dedent(walls), code=textwrap.dedent(code)
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
