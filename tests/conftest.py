"""What every test may ask for."""

from __future__ import annotations

import os

import pytest

os.environ["CODEACT_JOURNAL"] = "memory"  # nothing of a test's stays in the user's folder


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
