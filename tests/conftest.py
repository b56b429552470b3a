"""What every test may ask for."""

from __future__ import annotations

import os
import signal

import hypothesis
import pytest

os.environ["CODEACT_JOURNAL"] = "memory"  # nothing of a test's stays in the user's folder
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what is to run in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
# the same examples each time, however slow the machine is: `--hypothesis-profile default` looks for new ones
hypothesis.settings.register_profile("here", deadline=None, derandomize=True)
hypothesis.settings.load_profile("here")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
