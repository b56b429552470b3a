"""`docs/tools.md` shows what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from codeact import SandboxUnavailable

PAGE = Path(__file__).parents[2] / "docs" / "tools.md"


def test_the_example_of_the_page_runs() -> None:
    examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert examples
    scope: dict[str, Any] = {"__name__": "__main__"}
    for example in examples:
        try:
            exec(compile(example, str(PAGE), "exec", dont_inherit=True), scope)
        except SandboxUnavailable as error:
            if error.layer == "interpreter":  # it is there, and its guest does not come up
                raise
            pytest.skip(str(error))
