"""The contract checks that ship are held by what ships, and notice what breaks them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from codeact import tool
from codeact.assemble import model, sandbox
from codeact.assemble import tool as as_tool
from codeact.core.events import Entry, Event
from codeact.core.messages import Reply
from codeact.journals.memory import MemoryJournal
from codeact.testing import FakeGuest, FakeSandbox, ScriptedModel, check_journal, check_model, check_sandbox, check_tool


@pytest.mark.parametrize("name", ["linux", "unconfined"])
async def test_every_wall_here_holds_the_contract(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        await check_sandbox(sandbox(name))


async def test_a_wall_that_breaks_the_contract_is_found_out() -> None:
    async def silent(guest: FakeGuest) -> None:
        await guest.hear()

    with pytest.raises(Exception, match="left by itself"):
        await check_sandbox(FakeSandbox(silent))


async def test_models_hold_the_contract(tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    replies.write_text('{"text": "Hello."}\n')
    assert (await check_model(model(f"replay:{replies}"))).text == "Hello."
    assert (await check_model(ScriptedModel("Hi."))).text == "Hi."


async def test_a_model_that_streams_something_else_than_it_replies_is_found_out() -> None:
    class Liar(ScriptedModel):
        async def ask(self, prompt: Any, emit: Any) -> Reply:
            await super().ask(prompt, emit)
            return Reply("something else")

    with pytest.raises(AssertionError, match="streamed"):
        await check_model(Liar("Hi."))


async def test_a_tool_holds_the_contract() -> None:
    @tool
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    assert await check_tool(as_tool(add), 1, b=2) == 3


async def test_the_journal_holds_the_contract_and_one_that_forgets_is_found_out() -> None:
    await check_journal(MemoryJournal("run"))

    class Forgetful(MemoryJournal):
        async def append(self, event: Event) -> Entry:
            entry = await super().append(event)
            self.entries.clear()
            return entry

    with pytest.raises(AssertionError):
        await check_journal(Forgetful("run"))
