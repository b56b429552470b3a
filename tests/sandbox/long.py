"""What the tests do, for longer: `python long.py calls full 1000000`, or `deaths plain 5000`. A line says how it went.

calls   a cell calls a cheap tool so often, then from fifty threads (rs-23)
deaths  sessions die in every way while others start beside them (xs-05)
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]

from canaries import canaries  # noqa: E402
from test_host_sessions import call_often, die_and_start  # noqa: E402


def main(what: str, level: str, number: int) -> None:
    began = time.monotonic()
    with canaries() as host:
        asyncio.run(call_often(level, host, number) if what == "calls" else die_and_start(level, host, number))
    spent = time.monotonic() - began
    print(f"{number:,} {what} at {level}: {spent:.0f} s, {spent / number * 1e6:.0f} us each; the host is as before")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("calls", "deaths"):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
