"""In a notebook: a run shows itself there as it goes on, with and without await, and an interrupt ends it."""

from __future__ import annotations

import queue
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from codeact import CodeAgent
from codeact.core.events import CodeRan, ModelAsked, RunStarted, TaskEnded, TaskGiven
from codeact.core.execution import CellError, Outcome
from codeact.core.messages import Image
from codeact.listeners.notebook.page import Page, html_of, html_of_outcome
from codeact.testing import ScriptedModel

MODEL = """
from codeact import CodeAgent, Interpreter, tool
from codeact.testing import ScriptedModel

def says(*cells):
    return ScriptedModel(*(f"I try.\\n```python\\n{cell}\\n```" for cell in cells))
"""
RUNS = "agent = CodeAgent(model=says('x = 20\\nprint(x + 1)', 'final_answer(x + 22)'))"


@pytest.fixture(scope="module")
def executed() -> list[Any]:
    """The cells of a notebook that was executed, each with its outputs."""
    cells = [
        MODEL + RUNS,
        "shown = agent.run('Add.', show=True)",
        "awaited = await agent.arun('Add.', show=True)\nawaited.output",
        "agent.run('Add.')",
        # u-08: twice, side by side, from threads, all inside the notebook's loop
        "import asyncio\nboth = await asyncio.gather(agent.arun('One.'), agent.arun('Two.'))\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(2) as pool:\n    threads = list(pool.map(agent.run, ['Three.', 'Four.']))\n"
        "[one.output for one in (*both, *threads, agent.run('Five.'))]",
        "%load_ext codeact.listeners.notebook\n"
        "with Interpreter() as python:\n    outcome = python.run('6 * 7')\noutcome",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return list(notebook.cells)


def html_in(cell: Any) -> str:
    [output] = [one for one in cell.outputs if "text/html" in one.get("data", {})]
    return str(output.data["text/html"])


def words(html: str) -> str:
    """What is read of it."""
    read: list[str] = []
    parser = HTMLParser()
    parser.handle_data = read.append  # type: ignore[method-assign]
    parser.feed(html)
    return re.sub(r"\s+", " ", "".join(read))


@pytest.mark.parametrize("cell", [1, 2], ids=["run", "await arun"])
def test_a_run_that_is_shown_is_one_output_that_stays_as_it_ended(executed: list[Any], cell: int) -> None:
    shown = words(html_in(executed[cell]))
    assert re.search(r"Add\..*Step 1.*I try\..*print\(x \+ 1\).*21.*Step 2.*final_answer\(x \+ 22\).*Answer.*42", shown)
    assert "waiting" not in shown and "running" not in shown
    assert not [one for one in executed[cell].outputs if one.output_type in ("stream", "error")]


def test_await_gives_the_result_and_a_result_shows_its_answer_first(executed: list[Any]) -> None:
    assert executed[2].outputs[-1].data["text/plain"] == "42"
    shown = html_in(executed[3])
    assert words(shown).startswith("42") and "<details><summary>final_answer, 2 steps" in shown


def test_u_08_one_agent_runs_twice_side_by_side_and_from_threads_in_a_notebook(executed: list[Any]) -> None:
    assert executed[4].outputs[-1].data["text/plain"] == "[42, 42, 42, 42, 42]"


def test_a_cell_of_an_interpreter_shows_what_came_of_it(executed: list[Any]) -> None:
    assert words(html_in(executed[5])).strip() == "42"


@pytest.fixture
def kernel() -> Iterator[tuple[Any, Any]]:
    manager, client = start_new_kernel(kernel_name="python3")
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def heard(client: Any, until: str) -> str:
    """What the kernel puts out, up to this text, or up to the end of a cell."""
    said = ""
    while True:
        try:
            message = client.get_iopub_msg(timeout=30)
        except queue.Empty:
            pytest.fail(f"not heard: {until!r}, but: {said}")
        content = message["content"]
        said += str(content.get("text", "")) + str(content.get("data", ""))
        if until in said if until else content.get("execution_state") == "idle":
            return said


@pytest.mark.parametrize("call", ["agent.run('Wait.')", "await agent.arun('Wait.')"], ids=["run", "await arun"])
def test_an_interrupt_of_the_kernel_cancels_the_run_and_the_next_one_runs(kernel: Any, call: str) -> None:
    manager, client = kernel
    client.execute(
        MODEL + "from codeact.core.events import CodeStarted, TaskEnded\n"
        "def tell(event):\n"
        "    if isinstance(event, CodeStarted): print('it runs', flush=True)\n"
        "    if isinstance(event, TaskEnded): print('ended:', event.stop_reason, flush=True)\n"
        "agent = CodeAgent(model=says('import time; time.sleep(25)'), listeners=[tell])\n" + call,
        stop_on_error=False,
    )
    heard(client, "it runs")
    manager.interrupt_kernel()
    heard(client, "ended: cancelled")
    client.execute("print('then', agent.replace(model=says('final_answer(7)')).run('Go on.'))")
    heard(client, "then 7")


HOSTILE = "<script>alert(1)</script><img src=http://example.org/x.png onerror=alert(1)><!-- \x1b]8;;http://x\x07"


TABLE = {"table", "thead", "tbody", "tr", "th", "td"}


class Tags(HTMLParser):
    """Every tag of a page, with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data}")


def test_nothing_that_a_model_or_code_says_does_anything_on_the_page() -> None:
    cells = [f"print({HOSTILE!r})", f"raise ValueError({HOSTILE!r})", f"final_answer([{{ {HOSTILE!r}: {HOSTILE!r} }}])"]
    replies = [f"{HOSTILE}\n```python\n{cell}\n```" for cell in cells]
    result = CodeAgent(model=ScriptedModel(*replies), name="x").run(HOSTILE, additional_args={"rows": [HOSTILE]})
    pictures = Outcome("done", images=(Image(b"<svg onload=alert(1)>", "image/svg+xml"), Image(b"\x89PNG")))
    for html in (result._repr_html_(), html_of(result.events), html_of_outcome(pictures)):
        assert "\x1b" not in html
        for tag, attributes in Tags(html).found:
            assert tag in {"div", "pre", "span", "details", "summary", "img"} | TABLE
            assert attributes.keys() <= {"style", "open", "alt", "src"}
            assert "url(" not in (attributes.get("style") or "")
            assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")
    assert html_of_outcome(pictures).count("<img") == 1
    table = html_of_outcome(
        Outcome("done", preview=f"DataFrame of 1 rows and 1 columns ({HOSTILE})\n   {HOSTILE}\n0  1")
    )
    assert "white-space:pre;" in table and {tag for tag, _ in Tags(table).found} == {"div", "pre"}


def test_a_result_without_an_answer_says_why_and_rows_are_a_table() -> None:
    agent = CodeAgent(model=ScriptedModel("```python\n1/0\n```"), max_steps=1)
    assert "no answer: max_steps" in agent.run("Go.")._repr_html_()
    rows = [{"city": "Oslo", "degrees": n} for n in range(50)]
    told = CodeAgent(model=ScriptedModel("```python\nfinal_answer(rows)\n```")).run(
        "Go.", additional_args={"rows": rows}
    )
    html = told._repr_html_()
    assert "<th>city</th><th>degrees</th>" in html and "30 more rows" in html and html.count("<td>Oslo</td>") == 2 * 20


def test_a_run_of_a_thousand_steps_stays_a_page_that_can_be_drawn() -> None:
    page = Page()
    page.hear(RunStarted("scripted", "linux"))
    page.hear(TaskGiven("Long."))
    for step in range(1, 1001):
        page.hear(ModelAsked(step))
        page.hear(CodeRan(step, Outcome("done", stdout="x" * 100, error=CellError("E", "m", "E: m"))))
    page.hear(TaskEnded("final_answer", 1))
    assert len(page.html()) < 20_000 and "980 steps before are not shown" in page.html()


def test_outside_of_a_notebook_a_run_is_shown_on_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    CodeAgent(model=ScriptedModel("```python\nfinal_answer(1)\n```")).run("Go.", show=True)
    assert "final_answer(1)" in capsys.readouterr().out
