"""Whatever signature and call: a tool takes what CPython takes, gives the same, and refuses in the same words."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from codeact.testing import check_tool
from codeact.tools.function import as_tool

NAMES = st.sampled_from("abcdef")


@st.composite
def signatures(draw: st.DrawFn) -> str:
    """Source of a signature of any shape that Python allows."""
    names = list("abcdef")
    counts = [draw(st.integers(0, 2)) for _ in range(3)]
    kinds = [[names.pop(0) for _ in range(count)] for count in counts]
    only, either, keyword = kinds
    positional = [*only, *either]
    required = draw(st.integers(0, len(positional)))
    text = [name if i < required else f"{name}={i}" for i, name in enumerate(positional)]
    if only:
        text.insert(len(only), "/")
    if draw(st.booleans()):
        text.append("*rest")
    elif keyword:
        text.append("*")
    text += [f"{name}=0" if draw(st.booleans()) else name for name in keyword]
    if draw(st.booleans()):
        text.append("**more")
    return ", ".join(text)


@settings(max_examples=400, deadline=None)
@given(signatures(), st.lists(st.integers(0, 9), max_size=5), st.dictionaries(NAMES, st.integers(0, 9), max_size=4))
async def test_a_tool_binds_as_cpython_does(signature: str, args: list[int], kwargs: dict[str, int]) -> None:
    scope: dict[str, Any] = {}
    exec(f"async def probe({signature}): return locals()", scope)
    probe = scope["probe"]
    tool = as_tool(probe)
    assert tool.spec.signature.replace(" ", "") == f"({signature})".replace(" ", "")
    try:
        coroutine = probe(*args, **kwargs)
    except TypeError as theirs:
        try:
            tool.bind(args, kwargs)
        except TypeError as ours:
            said = str(theirs).partition(". Did you mean")[0]  # which CPython adds from 3.13
            assert str(ours).partition("; did you mean")[0] == said
        else:
            raise AssertionError(f"CPython refuses: {theirs}") from theirs
    else:
        assert await tool.call(tool.bind(args, kwargs)) == await coroutine


async def test_a_tool_keeps_the_contract_of_its_seam() -> None:
    def order(item: str, count: int = 1) -> str:
        return item * count

    assert await check_tool(as_tool(order), "tea", count=2) == "teatea"
