"""Going back in a session: to a mark, with the conversation, the variables and the files of then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from codeact import CodeAgent
from codeact.core.events import Forked, OutputDelta, TaskEnded
from codeact.testing import ScriptedModel


def cells(*sources: str) -> ScriptedModel:
    return ScriptedModel(*(f"```python\n{source}\n```" for source in sources))


@pytest.mark.parametrize("copies", [True, False], ids=["by a copy", "by its journal"])
def test_what_came_after_a_mark_is_taken_back_and_no_tool_runs_twice(copies: bool) -> None:
    paid: list[str] = []

    def pay(to: str) -> int:
        """Pay somebody."""
        paid.append(to)
        return len(paid)

    model = cells(
        "rows = [pay('Ada')]\nopen('notes', 'a').write('one ')\nfinal_answer(rows)",
        "rows.append(pay('Bob'))\nopen('notes', 'a').write('two')\nfinal_answer([*rows, open('notes').read()])",
    )
    agent = CodeAgent(model=model, tools=[pay], snapshots=copies)
    with agent.session() as session:
        session.run("Pay Ada.")
        mark = session.mark()
        assert session.run("Pay the other one.").output == [1, 2, "one two"]
        again = session.back(mark)
        assert again.variables() == [("rows", "list", "[1]")] and paid == ["Ada", "Bob"]
        assert again.run("Pay Bob.").output == [1, 3, "one two"]
        assert "the other one" not in str(model.prompts[-1]) and "Pay Ada." in str(model.prompts[-1])
        assert [event.run for event in again.events if isinstance(event, Forked)] == [session.run_id]
        again.close()


async def test_a_cell_that_was_cancelled_has_what_it_did_after_a_resume_too(tmp_path: Path) -> None:
    model = cells(
        "rows = [1]\nprint('on it', flush=True)\nwhile True: pass\nrows.append(2)",
        "final_answer(rows)",
        "final_answer(rows + [3])",
    )
    agent = CodeAgent(model=model, journal=tmp_path / "runs.db")
    heard = asyncio.Event()
    async with agent.session(
        listeners=[lambda news: heard.set() if isinstance(news, OutputDelta) else None]
    ) as session:
        working = asyncio.create_task(session.run("Work."))
        await heard.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        (end,) = [event for event in session.events if isinstance(event, TaskEnded)]
        assert (end.stop_reason, end.complete) == ("cancelled", 2)
        assert (await session.run("What is there?")).output == [1]
        run = session.run_id
    async with agent.session(resume=run) as later:
        assert (await later.run("And now?")).output == [1, 3]
