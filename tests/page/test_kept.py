"""`codeact show RUN --html FILE`: all of a run in one file, read in a real browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.command import codeact
from codeact import Budget, CodeAgent, Edit, File, tool
from codeact.core.execution import ToolCall
from codeact.core.messages import Reply, Usage
from codeact.testing import ScriptedModel

from .browser import Tab, tab

EVIL = "https://evil.invalid"


def says(words: str, code: str = "", reasoning: str = "") -> Reply:
    fenced = f"\n```python\n{code}\n```" if code else ""
    return Reply(words + fenced, reasoning, usage=Usage(1_200, 90, 600))


@tool
def weather(city: str) -> dict:
    """Current weather in a city."""
    return {"city": city, "degrees": {"Oslo": 3, "Bergen": 7}[city]}


@tool
def send_mail(to: str, subject: str) -> str:
    """Send a mail."""
    return f"sent to {to}"


TABLE = """\
import pandas as pd
df = pd.DataFrame({"city": list(found), "two words": [3.5, -7.25]})
import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
class Dot:
    def _repr_png_(self):
        head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
        body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\\0\\0")) + chunk(b"IEND", b"")
        return b"\\x89PNG\\r\\n\\x1a\\n" + body
display(Dot())
df"""
WIDE = "pd.DataFrame({f'column {i}': [i] for i in range(25)})"
FILES = "mean = researcher('The mean?', numbers=[3, 7])\nopen('outputs/mean.txt', 'w').write(str(mean))"
ANSWER = f"""\
final_answer('''**Bergen** is warmer.

| city | C |
|---|---|
| Oslo | 3 |

```python
print("as code in code")
```
> a quote

[why]({EVIL}/a?q=1) ![p]({EVIL}/p.png)''')"""
REPLIES = (
    says("1. Ask.\n2. Answer."),
    says("I *ask* for both.", "found = {c: weather(c) for c in ('Oslo', 'Bergen')}\nprint('asked', len(found))", "Hm."),
    says("A table.", TABLE),
    says("A mistake.", "print('before')\nfound['Rome']"),
    says(
        "Somebody else.",
        "mean = researcher('The mean?', numbers=[3, 7])\nopen('outputs/mean.txt', 'w').write(str(mean))",
    ),
    says("The mail.", f"send_mail(to='ola@example.org', subject='Weather')\n{WIDE}"),
    says("It is sent, I think."),
    says("Done.", ANSWER),
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the journal of a run in which nearly everything happens."""
    folder = tmp_path_factory.mktemp("kept")
    mean = ScriptedModel(says("Easy.", "print('thinking of', numbers)\nfinal_answer(sum(numbers) / 2)"), name="small")
    researcher = CodeAgent(model=mean, name="researcher", description="looks things up")

    async def gate(call: ToolCall) -> Edit:
        return Edit({**call.arguments, "subject": "Weather in Norway"})

    agent = CodeAgent(
        model=ScriptedModel(*REPLIES, name="large"),
        tools=[weather, send_mail],
        imports=["pandas"],
        managed_agents=[researcher],
        planning_interval=50,
        approve=["send_mail"],
        gate=gate,
        budget=Budget(tokens=14_000),
        prices={"large": (1.25, 10.0), "small": (0.25, 2.0)},
        journal=folder / "runs.db",
    )
    result = agent.run("Which is warmer, Oslo or Bergen?", files=[File("note.txt", b"hello")])
    assert result.stop_reason == "final_answer", result.error
    said = codeact("show", "last", "--journal", "runs.db", "--html", "run.html", home=folder)
    assert (said.code, said.out) == (0, "") and "open it in a browser" in said.err
    return folder


@pytest.fixture(scope="module")
def shown(kept: Path, browser: Any) -> Iterator[Tab]:
    with tab(browser) as made:
        made.page.goto((kept / "run.html").as_uri())
        made.page.locator(".ending").first.wait_for()
        yield made


def test_a_run_is_one_file_that_asks_for_nothing_else(shown: Tab, kept: Path) -> None:
    assert shown.asked == [(kept / "run.html").as_uri()]
    assert not shown.troubles
    shown.picture("kept")


def test_all_that_happened_stands_on_the_page(shown: Tab) -> None:
    assert shown.texts("h1") == ["Which is warmer, Oslo or Bergen?"]
    assert shown.page.title() == "Which is warmer, Oslo or Bergen? · codeact"
    (facts,) = shown.texts(".head .facts:first-child")
    assert [part in facts for part in ("answered", "7 steps", "4 tool calls", "11,610 tokens", "cost 0.0")] == [
        True
    ] * 5
    assert shown.texts("main > .run > .task > .item > h3") == ["Plan", *(f"Step {n}" for n in range(1, 8))]
    assert "I ask for both." in shown.texts(".item .words")[1]
    assert shown.texts(".item .words em") == ["ask"]
    assert shown.texts(".output .stdout")[0] == "asked 2"
    assert "weather(city='Oslo') {'city': 'Oslo', 'degrees': 3}" in " ".join(shown.texts(".call")[0].split())
    assert shown.texts(".decision") == ["changed by you"]
    assert "subject='Weather in Norway'" in shown.texts(".call:has(.decision)")[0]
    assert "KeyError: 'Rome'" in shown.texts(".output .error")[0]
    far = [shown.page.locator(one).all_text_contents() for one in (".remark.warning", ".notes", ".words >> nth=-2")]
    assert far[:2] == [["Budget: 11,610 of 14,000 tokens are used."], ["There was nothing in it to run."]]
    assert far[2] == ["Done."]  # and nothing of the fence that stands in its code
    assert shown.page.locator(".lane.time .part").count() == 8


def test_thoughts_calls_and_the_runs_of_other_agents_are_folded_in(shown: Tab) -> None:
    shown.page.get_by_text("Thinking", exact=True).click()
    shown.page.locator(".thinking .words").wait_for()  # it is drawn when it is unfolded, a moment later
    assert shown.texts(".thinking .words") == ["Hm."]
    shown.page.locator(".nested > summary").click()
    shown.page.locator(".run.below .answer").wait_for()
    assert shown.texts(".run.below h2") == ["The mean?"]
    assert shown.texts(".run.below .stdout") == ["thinking of [3, 7]"]
    assert shown.texts(".run.below .answer") == ["5.0"]


def test_tables_pictures_and_files_are_what_they_are(shown: Tab, tmp_path: Path) -> None:
    small, wide = (f".output table >> nth={n} >> " for n in range(2))
    assert shown.texts(small + "th[scope=col]") == ["city", "two words"]
    assert shown.texts(small + "tbody tr") == ["0\tOslo\t3.50", "1\tBergen\t-7.25"]
    names = [f"column {n}" for n in range(25)]
    assert shown.texts(wide + "th[scope=col]") == [*names[:10], "...", *names[-10:]]
    picture = shown.page.locator(".output img")
    assert picture.get_attribute("alt") == "picture 1 of cell 2"
    assert picture.evaluate("image => image.complete && image.naturalWidth") == 1
    with shown.page.expect_download() as coming:
        shown.page.get_by_role("button", name="Save mean.txt").click()
    coming.value.save_as(tmp_path / "mean.txt")
    assert (tmp_path / "mean.txt").read_text() == "5.0"


def test_an_answer_is_read_as_text_and_nothing_of_it_can_be_followed(shown: Tab) -> None:
    answer = shown.page.locator("main > .run > .task > .ending .answer")
    assert answer.locator("strong").inner_text() == "Bergen"
    assert answer.locator("td").all_inner_texts() == ["Oslo", "3"]
    assert f"why ({EVIL}/a?q=1)" in answer.inner_text()
    assert f"picture, not loaded: p ({EVIL}/p.png)" in answer.inner_text()
    assert shown.page.locator("a, iframe, object, embed, link, form:not([method=dialog])").count() == 0


def test_one_goes_through_it_by_keys(shown: Tab) -> None:
    shown.page.evaluate("window.scrollTo(0, 0); document.activeElement.blur()")
    here = "document.activeElement.querySelector('h1, h3')?.textContent"
    seen = []
    for key in "jjkG":
        shown.page.keyboard.press(key)
        seen.append(shown.page.evaluate(here))
    assert seen == ["Which is warmer, Oslo or Bergen?", "Plan", "Which is warmer, Oslo or Bergen?", "Answer"]
    shown.page.keyboard.press("?")
    assert "the next step" in shown.page.get_by_role("dialog").inner_text()
    shown.page.keyboard.press("Escape")
    assert shown.page.get_by_role("dialog").count() == 0


def test_the_entries_in_the_file_can_be_read_by_a_program(shown: Tab) -> None:
    lines = shown.page.locator("#entries").text_content().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["seq"] for entry in entries if "parent" not in entry] == list(range(47))
    files = next(entry for entry in entries if entry["event"] == "FilesCollected")["files"]
    assert [(one["name"], base64.b64decode(one["data"])) for one in files] == [("mean.txt", b"5.0")]
