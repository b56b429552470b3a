"""The page of `codeact serve`, in a real browser on the real server: begin, watch, answer, steer, fork, compare."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codeact import CodeAgent, tool
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Prompt, Reply, Usage
from codeact.ports import Emit
from serving.site import Site, site

from .browser import Tab, tab


class Held:
    """A model that says half of a reply, and the rest when the test lets it."""

    name = "held"

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.heard: list[str] = []

    def release(self) -> None:
        """From the test's thread: it may go on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._free.set)

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        self._loop = asyncio.get_running_loop()
        self.heard.append(prompt.messages[-1].text)
        emit(ReasoningDelta("Let me think."))
        text = "I count **slowly**.\n```python\nfor n in range(3):\n    print('number', n)\n```"
        if prompt.answered:
            text = "```python\nfinal_answer('counted')\n```"
        emit(TextDelta(text[:30]))
        await self._free.wait()
        emit(TextDelta(text[30:]))
        return Reply(text, "Let me think.", usage=Usage(100, 20))


class Says:
    """The n-th reply of a conversation."""

    def __init__(self, *cells: str, name: str = "model") -> None:
        self._cells = cells
        self.name = name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        text = f"Step.\n```python\n{self._cells[min(prompt.answered, len(self._cells) - 1)]}\n```"
        emit(TextDelta(text))
        return Reply(text, usage=Usage(1000, 50))


@tool
def pay(amount: int, to: str, note: float = 1.0) -> str:
    """Pay somebody."""
    return f"{amount} to {to} ({note!r})"


held = Held()

PLANNED = (
    "1. Pay.",
    "paid = [pay(1, 'Ola'), pay(2, 'Kari')]\nfor n in range(50):\n    print('paid', n)",
    """\
import os, struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
head = chunk(b"IHDR", struct.pack(">IIBBBBB", 200, 150, 8, 2, 0, 0, 0))
rows = b"".join(b"\\0" + os.urandom(600) for _ in range(150))
picture = b"\\x89PNG\\r\\n\\x1a\\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
open('outputs/large.png', 'wb').write(picture)
open('outputs/large.html', 'w').write('<b>' * 100_000)
final_answer({'paid': paid, 'much': 'y' * 2_000_000})""",
)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    journal = tmp_path_factory.mktemp("live") / "runs.db"
    paying = Says("x = pay(10, 'Ola', 2.0)", "print(x)", "final_answer(x)", name="paying")
    below = CodeAgent(model=paying, tools=[pay], approve=["pay"], name="clerk", description="pays")
    reading = Says(
        "print(open('inputs/a.txt').read())", "import os\nfinal_answer(os.listdir('inputs'))", name="reading"
    )
    agents = [
        CodeAgent(model=held, name="counter", description="counts", journal=journal),
        CodeAgent(model=paying, tools=[pay], approve=["pay"], name="payer", journal=journal),
        CodeAgent(model=Says("final_answer(clerk('Pay.'))"), managed_agents=[below], name="boss", journal=journal),
        CodeAgent(model=reading, tools=[pay], name="reader", journal=journal),
    ]
    agents.append(
        CodeAgent(
            model=Says(*PLANNED, name="planning"), tools=[pay], approve=["plan", "pay"], name="planner",
            planning_interval=5, journal=journal,
        )
    )  # fmt: skip
    with site(*agents, journal=journal) as made:
        yield made


@pytest.fixture
def visit(browser: Any, up: Site) -> Iterator[Tab]:
    with tab(browser) as made:
        made.page.goto(f"{up.url}/#token={up.token}")
        made.page.locator("#runs").wait_for()
        yield made
        assert all(address.removeprefix("blob:").startswith(up.url) for address in made.asked)
        assert not made.troubles


def begin(visit: Tab, agent: str, task: str) -> None:
    chosen = visit.page.get_by_label("agent", exact=True)
    if chosen.count() and chosen.input_value() != agent:
        chosen.select_option(agent)
    visit.page.get_by_label("task", exact=True).fill(task)
    visit.page.get_by_role("button", name="Begin").click()
    visit.page.locator("h1", has_text=task).wait_for()


def ended(visit: Tab) -> str:
    """The answer of the last task."""
    last = "#main > .run > .task:last-child > .ending.good"
    visit.page.locator(last).wait_for()
    return visit.texts(f"{last} .answer")[0]


def runs_of(up: Site, task: str) -> list[str]:
    """The runs of this task, the last first."""
    return [str(one["run"]) for one in up.get("/api/runs") if one["task"] == task]


def test_the_token_is_taken_out_of_the_address_and_asked_for_where_it_is_missing(
    visit: Tab, up: Site, browser: Any
) -> None:
    assert visit.page.url == f"{up.url}/"
    assert up.token not in visit.page.content()
    with tab(browser) as other:
        other.page.goto(up.url)
        other.page.get_by_label("token").fill("wrong-token")
        other.page.keyboard.press("Enter")
        other.page.get_by_text("not the one of this server").wait_for()
        other.page.get_by_label("token").fill(up.token)
        other.page.keyboard.press("Enter")
        other.page.locator("#runs").wait_for()


def test_a_run_is_watched_while_it_happens_spoken_to_and_there_after_a_reload(visit: Tab, up: Site) -> None:
    begin(visit, "counter", "Count to three.")
    visit.page.locator(".thinking summary").click()
    assert visit.texts(".thinking .words") == ["Let me think."]
    visit.page.locator(".words strong", has_text="slowly").wait_for()  # half of the reply
    assert "asks the model" in visit.texts(".head")[0]
    visit.page.reload()
    visit.page.locator(".words strong", has_text="slowly").wait_for()
    visit.page.get_by_label("Say something to the model").fill("Quickly, please.")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_text("Quickly, please.").wait_for()
    visit.picture("live")
    held.release()
    assert ended(visit) == "counted"
    assert visit.texts(".stdout") == ["number 0\nnumber 1\nnumber 2"]
    assert any("Quickly, please." in text for text in held.heard)
    assert visit.page.title() == "Count to three. · codeact"
    visit.page.locator(".runs a[aria-current]", has_text="answered").wait_for()


def test_a_call_waits_for_an_answer_and_is_changed_where_it_stands(visit: Tab) -> None:
    begin(visit, "payer", "Pay Ola.")
    question = visit.page.locator(".question")
    question.wait_for()
    assert visit.page.title().startswith("● Pay Ola.")
    visit.picture("question")
    assert [field.input_value() for field in question.locator("textarea").all()] == ["10", '"Ola"'[1:-1], "2.0"]
    question.get_by_label("amount").fill("ten")
    question.get_by_role("button", name="Allow with these changes").click()
    assert "not JSON" in question.inner_text()
    question.get_by_label("amount").fill("7")
    question.get_by_role("button", name="Allow with these changes").click()
    assert ended(visit) == "7 to Ola (2.0)"
    assert visit.page.locator(".decision").all_text_contents() == ["changed by you"]


def test_a_plan_is_changed_calls_are_allowed_for_the_session_and_what_is_large_is_fetched(visit: Tab, up: Site) -> None:
    begin(visit, "planner", "Pay them all.")
    question = visit.page.locator(".question", has_text="May it go on by this plan?")
    question.locator("textarea").fill("1. Pay both.")
    question.get_by_role("button", name="Allow with these changes").click()
    visit.page.get_by_text("Changed by you:").wait_for()
    visit.page.locator(".question", has_text="May pay run?").wait_for()
    visit.page.get_by_role("button", name="waits for your answer").click()  # the way to it, from below
    assert visit.page.evaluate("document.activeElement.textContent") == "Allow"
    visit.page.get_by_role("button", name="Allow for the session").click()
    visit.page.locator(".ending.good").wait_for()
    assert visit.page.locator(".decision").all_text_contents() == [
        "The plan was changed by you",
        "allowed by you, for the session",
    ]
    assert (
        "2 steps" in visit.texts(".runs a[aria-current]")[0] and "2 steps" in visit.page.locator(".head").text_content()
    )
    shown = visit.page.locator(".file img")
    shown.scroll_into_view_if_needed()
    visit.page.wait_for_function("document.querySelector('.file img').naturalWidth === 200")
    with visit.page.expect_download() as saved:
        visit.page.get_by_label("Save large.html").click()
    assert (saved.value.path().read_bytes(), saved.value.suggested_filename) == (b"<b>" * 100_000, "large.html")
    with visit.page.expect_download() as saved:
        visit.page.locator(".ending").get_by_role("button", name="Save all of it").click()
    assert json.loads(saved.value.path().read_bytes())["output"][0]["much"] == "y" * 2_000_000
    visit.picture("planned")
    visit.page.goto(f"{up.url}/#/run/{'0' * 32}")
    visit.page.get_by_role("heading", name="There is no such run").wait_for()
    visit.troubles.clear()  # the browser tells of the 404


def test_a_call_of_an_agent_below_is_denied_with_a_reason(visit: Tab) -> None:
    begin(visit, "boss", "Have it paid.")
    question = visit.page.locator(".run.below .question")
    question.get_by_label("why not").fill("too much")
    question.get_by_role("button", name="Deny").click()
    visit.page.locator(".run.below .decision.denied", has_text="denied by you: too much").wait_for()
    visit.page.locator(".run.below .error", has_text="PermissionError").wait_for()
    visit.page.get_by_role("button", name="Stop").click()
    visit.page.get_by_text("Go on where it was cut off").or_(
        visit.page.locator("#main > .run > .task > .ending")
    ).first.wait_for()


def test_a_task_has_files_tools_and_limits_and_another_task_behind_it(visit: Tab, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("what is in it")
    visit.page.get_by_label("agent", exact=True).select_option("reader")
    visit.page.get_by_label("files").set_input_files(tmp_path / "a.txt")
    (tmp_path / "large.bin").touch()
    os.truncate(tmp_path / "large.bin", 40 << 20)
    visit.page.get_by_label("files").set_input_files(tmp_path / "large.bin")
    visit.page.get_by_label("task", exact=True).fill("Too much.")
    visit.page.get_by_role("button", name="Begin").click()
    visit.page.get_by_text("These files have 41.9 MB: a task is given 37.7 MB at most.").wait_for()
    visit.page.get_by_label("Leave out large.bin").click()
    visit.page.get_by_text("Tools and limits").click()
    visit.page.get_by_label("steps at most").fill("3")
    visit.page.locator("[name=tool]").uncheck()
    begin(visit, "reader", "Read it.")
    assert ended(visit) == "['a.txt']"
    assert visit.texts(".stdout") == ["what is in it"]
    visit.page.get_by_text("What it is made of").click()
    visit.page.locator(".made", has_text="steps 3").wait_for()  # it is filled when it has unfolded
    made = visit.texts(".made")[0]
    assert "pay" not in made
    visit.page.get_by_label("Give it another task").fill("And again.")
    visit.page.keyboard.press("Enter")
    visit.page.locator("h2", has_text="And again.").wait_for()
    assert ended(visit) == "['a.txt']"


def test_a_run_is_forked_from_a_step_and_both_are_laid_side_by_side(visit: Tab, up: Site) -> None:
    run = up.begin("Read this.", "reader", files=[{"name": "a.txt", "base64": "aGVyZQ=="}])
    up.until(run)
    visit.page.goto(f"{up.url}/#/run/{run}")
    assert ended(visit) == "['a.txt']"
    visit.page.get_by_label("Fork behind step 1").click()
    visit.page.get_by_label("what the model is told").fill("Look twice.")
    visit.page.get_by_role("dialog").get_by_role("button", name="Fork").click()
    visit.page.get_by_text("You said: Look twice.").wait_for()
    assert ended(visit) == "['a.txt']"
    visit.page.get_by_role("button", name="Compare").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Read this.").last.click()
    visit.page.get_by_text("They are the same in all that is compared").wait_for()
    assert len(visit.texts(".sides .stdout")) == 2
    visit.picture("beside")
    visit.page.set_viewport_size({"width": 390, "height": 800})
    width = "one => one.getBoundingClientRect().width"
    assert visit.page.locator(".left-side").first.evaluate(width) > 300  # the other one stands beside it
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_run_is_found_among_a_hundred_by_its_words_and_by_keys(visit: Tab, up: Site) -> None:
    if not runs_of(up, "Count to three."):  # which another process of the tests has watched
        test_a_run_is_watched_while_it_happens_spoken_to_and_there_after_a_reload(visit, up)
        visit.page.goto(f"{up.url}/#/")
    visit.page.get_by_label("task", exact=True).press("Escape")
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("count three")
    assert visit.texts(".runs li .what") == ["Count to three."]
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    assert ended(visit) == "counted"
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.keyboard.press("?")
    assert "a new task" in visit.page.get_by_role("dialog").inner_text()
    visit.page.keyboard.press("Escape")
    visit.page.keyboard.press("n")
    visit.page.get_by_role("button", name="Begin").wait_for()


def test_a_run_that_was_cut_off_goes_on_once_somebody_says_what_became_of_its_call(
    browser: Any, tmp_path: Path
) -> None:
    """The server ended in the middle of a call; another one is found by the page, and has its runs."""
    begun, left = threading.Event(), threading.Event()
    times: list[int] = []

    @tool
    def book(seat: int) -> str:
        """Book a seat."""
        times.append(seat)
        begun.set()
        left.wait(20)
        return "late"

    agent = CodeAgent(model=Says("x = book(4)\nfinal_answer(x)", name="books"), tools=[book], name="booker")
    same = {"journal": tmp_path / "runs.db", "token": "a-token-of-22-characters-or-more"}
    with tab(browser) as made:
        with site(agent, **same) as first:
            made.page.goto(f"{first.url}/#token={first.token}")
            begin(made, "booker", "Book.")
            assert begun.wait(20)
            made.page.locator(".call", has_text="is running").wait_for()
            run = made.page.url.rpartition("/")[2]
        made.page.get_by_text("The server cannot be heard just now.").wait_for()
        assert made.texts(".bar .doing") == [""]  # nobody knows what the run does now
        left.set()
        with site(agent, port=first.port, **same) as second:
            go_on = made.page.get_by_role("button", name="Go on where it was cut off")
            go_on.click()
            made.page.locator(".ending", has_text="Paused").wait_for()
            go_on.click()
            dialog = made.page.get_by_role("dialog")
            assert "book(seat=4)" in dialog.inner_text()
            dialog.get_by_label("what became of book").select_option("it took effect, and gave")
            dialog.get_by_label("what it gave").fill('"seat 4"')
            dialog.get_by_role("button", name="Go on").click()
            assert ended(made) == "seat 4"
            assert second.get(f"/api/runs/{run}")["stop_reason"] == "final_answer"
    assert times == [4]


THOUSAND = """async () => {
  const { Story } = await import("/static/story.js");
  const { View } = await import("/static/run.js");
  const story = new Story();
  let seq = 0;
  const hear = (event) => story.hear({ seq, at: 1 + seq++, run: "r", ...event });
  hear({ event: "RunStarted", model: "m", sandbox: "linux" });
  hear({ event: "TaskGiven", task: "A thousand steps." });
  for (let step = 1; step <= 1000; step += 1) {
    hear({ event: "ModelAsked", step });
    hear({ event: "ModelReplied", reply: { text: "Words.", usage: { input_tokens: step, output_tokens: 1 } } });
    hear({ event: "CodeStarted", cell: step, source: `value = ${step}` });
    hear({ event: "CodeRan", cell: step, outcome: { ended: "done", stdout: `${step}` } });
  }
  hear({ event: "ModelAsked", step: 1001 });
  const view = new View(story, story.main);
  document.querySelector("main").replaceChildren(view.element);
  view.update();
  const changed = new Set();
  const watch = new MutationObserver((news) => {
    for (const { target } of news) changed.add(target.closest("article")?.id);
  });
  watch.observe(view.element, { subtree: true, childList: true, characterData: true });
  story.live("r", { delta: "TextDelta", text: "more" });
  view.update();
  await new Promise((done) => setTimeout(done));
  const count = (found) => document.querySelectorAll(found).length;
  return [count(".item"), count(".lane.time .part"), [...changed]];
}"""


def test_of_a_run_of_a_thousand_steps_only_what_is_new_is_drawn(visit: Tab) -> None:
    steps, parts, changed = visit.page.evaluate(THOUSAND)
    assert steps == 1001
    assert parts == 200  # of five steps each
    assert changed == ["t0-1000"]


LONG = """async () => {
  const { question } = await import("/static/questions.js");
  const source = "x = 1\\n".repeat(400) + "\\u202e" + "\\n".repeat(600) + "send_all()";
  return question({ key: "k", tool: "cell", arguments: { source } }, "r", {}).querySelector(".told").textContent;
}"""
VALUES = """async () => {
  const { question } = await import("/static/questions.js");
  const lines = Array.from({ length: 20 }, (_, item) => ({ item }));
  const order = { id: { $int: "0xab54a98ceb1f0ad2" }, lines };
  const asked = question({ key: "k", tool: "pay", arguments: { order } }, "r", {});
  return [asked.querySelector("textarea").value.split("\\n")[1], asked.querySelector(".told").textContent];
}"""
TOOLS = """async () => {
  const { beginning } = await import("/static/begin.js");
  const tools = Array.from({ length: 300 }, (_, i) => ({ name: `tool_${i}`, signature: "()", doc: "Does it." }));
  const main = document.createElement("main");
  beginning(main, { agents: [{ name: "a", model: "m", sandbox: "linux", limits: {}, imports: {}, tools }] });
  document.body.replaceChildren(main);
}"""


def test_who_is_asked_is_told_how_long_a_text_is_and_what_of_it_cannot_be_seen(visit: Tab) -> None:
    told = visit.page.evaluate(LONG)
    assert told.startswith("1,001 lines, 3,011 characters in all. 1 of its characters cannot be seen:")
    first, read = visit.page.evaluate(VALUES)
    assert first == '  "id": {"$int": "0xab54a98ceb1f0ad2"},' and read.startswith(
        "that is {'id': 12345678901234567890,"
    )


def test_some_of_many_tools_are_found_by_their_words(visit: Tab) -> None:
    visit.page.evaluate(TOOLS)
    visit.page.get_by_text("Tools and limits", exact=True).click()
    visit.page.get_by_role("button", name="None of these").click()
    visit.page.get_by_label("find a tool").fill("tool_29 does")
    visit.page.get_by_role("button", name="All of these").click()
    visit.page.get_by_label("find a tool").fill("")
    left = visit.page.locator("[name=tool]:checked").evaluate_all("all => all.map((one) => one.value)")
    assert left == ["tool_29", *(f"tool_{n}" for n in range(290, 300))]


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !one.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const style = getComputedStyle(one);
    const [a, b] = [luminance(rgba(style.color)), luminance(behind(one))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), one.className + ": " + one.textContent.slice(0, 30)]);
  }
  return found.sort((x, y) => x[0] - y[0]);
}"""


@pytest.mark.parametrize(("scheme", "width"), list(itertools.product(("light", "dark"), (1200, 390))))
def test_every_word_can_be_read_and_nothing_is_wider_than_the_screen(
    browser: Any, up: Site, scheme: str, width: int
) -> None:
    """By day and night, on a desk and in the hand: a contrast of 4.5 at least, as WCAG's level AA wants it."""
    if not runs_of(up, "Have it paid."):  # which another process of the tests has watched
        with tab(browser) as first:
            first.page.goto(f"{up.url}/#token={up.token}")
            first.page.locator("#runs").wait_for()
            test_a_call_of_an_agent_below_is_denied_with_a_reason(first)
    run = runs_of(up, "Have it paid.")[0]
    settings = {"color_scheme": scheme, "viewport": {"width": width, "height": 3000}, "reduced_motion": "reduce"}
    with tab(browser, **settings) as made:
        made.page.goto(f"{up.url}/#token={up.token}")
        made.page.locator(".begin").wait_for()
        worst = made.page.evaluate(CONTRAST)[:1]
        made.page.goto(f"{up.url}/#/run/{run}")
        made.page.locator(".nested > summary").first.click()  # a boss that is stopped late asks again
        made.page.locator(".run.below .error").first.wait_for()
        worst += made.page.evaluate(CONTRAST)[:3]
        assert [one for one in worst if one[0] < 4.5] == []
        assert made.page.evaluate("document.documentElement.scrollWidth") <= width
        made.picture(f"{scheme}-{width}")
