"""Tools as modules: imported, searched and called in the middle of a cell, a few of them or five thousand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from codeact import Allow, CodeAgent, Deny, Interpreter, ToolCallingAgent, UsageError
from codeact.core.catalogue import Catalogue
from codeact.core.errors import ToolDefinitionError
from codeact.core.events import ApprovalAsked, CallsAnswered, CodeRan, ToolCalled
from codeact.core.execution import Limits, ToolSpec
from codeact.core.messages import NativeCall, Reply
from codeact.ports import Tool
from codeact.testing import ScriptedModel
from codeact.tools.function import as_tool
from codeact.tools.names import group_name
from codeact.tools.schemas import DescribedTool

VERBS = ("create", "list", "delete", "update", "get")
THINGS = ("issue", "pull_request", "branch", "comment", "label", "milestone", "release", "team", "webhook", "member")
TITLED = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}


async def sent(arguments: dict[str, Any]) -> Any:
    return arguments


def source(group: str, count: int, doc: str = "") -> list[Tool]:
    """As a server with so many tools gives them."""
    names = [f"{verb}_{thing}" for thing in THINGS for verb in VERBS]
    made: list[Tool] = []
    for number in range(count):
        area, place = divmod(number, len(names))
        name = names[place] + (f"_of_area_{area}" if area else "")
        said = f"{name.replace('_', ' ').capitalize()}.{doc}"
        made.append(DescribedTool(name, TITLED, sent, doc=said, group=group))
    return made


def search(words: str) -> list[str]:
    """Find something, the user's own way."""
    return [words]


@pytest.fixture(scope="module")
def many() -> list[Tool]:
    return source("github", 1900) + source("gitlab", 100)


@pytest.fixture(scope="module")
def python(many: list[Tool]) -> Iterator[Any]:
    with Interpreter(tools=[*many, search]) as python:
        yield python


def code(*cells: str) -> ScriptedModel:
    return ScriptedModel(*(f"So.\n```python\n{cell}\n```" for cell in cells))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("from tools.github import create_issue\ncreate_issue('a')", "{'title': 'a'}"),
        ("from tools.github import create_issue as new, get_team\nnew(title='a'), get_team('b')", None),
        ("import tools.gitlab as g\ng.list_label('a')", "{'title': 'a'}"),
        ("import tools.gitlab\ntools.gitlab.list_label('a')", "{'title': 'a'}"),
        ("from tools import gitlab\ngitlab.list_label('a')", "{'title': 'a'}"),
        ("tools.gitlab.list_label.__doc__", "'List label.'"),
        ("import inspect\nstr(inspect.signature(tools.gitlab.list_label))", "'(title: str)'"),
        ("tools.gitlab.list_label is tools.gitlab.list_label", "True"),
        ("len(dir(tools.github)), dir(tools)", "(1900, ['github', 'gitlab', 'search'])"),
        ("gitlab_list_label('a'), github_list_label('b')", "({'title': 'a'}, {'title': 'b'})"),
        ("list_label_of_area_7('a')", "{'title': 'a'}"),
        ("def later():\n    return get_team_of_area_9('a')\nlater()", "{'title': 'a'}"),
        ("search('mine'), tools.search('open an issue', 1)[0].name", "(['mine'], 'github.create_issue')"),
        ("tools.search('open an issue', 1)[0](title='now')", "{'title': 'now'}"),
        ("import asyncio\nlen(await asyncio.gather(*[tools.gitlab.get_team.aio(str(n)) for n in range(20)]))", "20"),
        ("import asyncio\nawait asyncio.gather(tools.search('delete hook', 1)[0].aio(title='x'))", "[{'title': 'x'}]"),
        ("import pickle\npickle.loads(pickle.dumps(tools.gitlab.get_team)) is tools.gitlab.get_team", "True"),
        (
            "[m.name for m in tools.search('', 2, group='gitlab')]",
            "['gitlab.create_branch', 'gitlab.create_branch_of_area_1']",
        ),
        ("tools.search('isue', 1)", "tools.github.create_issue(title: str)  # Create issue."),
        ("__import__('importlib').import_module('tools.gitlab').get_team('a')", "{'title': 'a'}"),
        (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(4) as pool:\n    found = list(pool.map(lambda n: getattr(tools.github, n)('x'), "
            "[n for n in dir(tools.github) if n.startswith('update_issue')]))\nlen(found)",
            "38",
        ),
    ],
)
def test_code_uses_them_as_any_module(python: Any, cell: str, value: str | None) -> None:
    outcome = python.run(cell)
    assert outcome.error is None, outcome.error
    assert value is None or outcome.value == value


@pytest.mark.parametrize(
    ("cell", "kind", "words"),
    [
        ("from tools.githb import create_issue", "ModuleNotFoundError", "did you mean tools.github?"),
        ("import tools.search", "ModuleNotFoundError", "tools.search"),
        ("tools.gitlab.lst_label", "AttributeError", "did you mean 'list_label'?"),
        ("from tools.gitlab import lst_label", "ImportError", "lst_label"),
        ("tools.gitlab.list_label(5)", "TypeError", "'title' must be str, got 5 (int)"),
        ("tools.gitlab.list_label()", "TypeError", "missing 1 required positional argument: 'title'"),
        ("tools.search('x', 1000)", "ValueError", "limit is from 1 to 100"),
        ("tools.search('x', group='gitlb')", "LookupError", "did you mean 'gitlab'?"),
        ("tools.search(5)", "TypeError", "search(query: str"),
        ("tools.search('issue', 1)[0].docs", "AttributeError", "a match has name, signature, doc"),
        ("list_label('a')", "NameError", "list_label"),
    ],
)
def test_what_is_not_there_is_told_with_the_nearest(python: Any, cell: str, kind: str, words: str) -> None:
    error = python.run(cell).error
    assert error is not None
    assert (error.type, words in error.message) == (kind, True), error


def test_help_prints_a_module_in_bounds_and_a_function_in_whole(python: Any) -> None:
    told = python.run("help(tools.github)").stdout
    assert "tools.github.create_branch(title: str)  # Create branch.\n" in told
    assert told.count("\n") < 60 and "and 1,850 more" in told
    assert "create_issue(title: str)\n    Create issue." in python.run("help(tools.github.create_issue)").stdout
    assert "tools.gitlab: a module of 100 tools" in python.run("help('tools')").stdout


def test_a_variable_named_tools_is_the_codes_own_and_an_import_gives_the_module_back(many: list[Tool]) -> None:
    with Interpreter(tools=many[:3]) as python:
        python.run("tools = ['hammer']\nget = create_issue = 5")
        assert python.run("tools").value == "['hammer']"
        notes = python.run("create_issue = 5").notes
        assert "create_issue is a tool, and is one again" in notes[0]
        assert python.run("import tools\ntools.github.create_issue('a')").value == "{'title': 'a'}"


def test_a_name_of_one_of_thousands_is_free_for_the_code(python: Any) -> None:
    assert python.run("update_team_of_area_3 = 5").notes == ()
    assert python.run("update_team_of_area_3").value == "5"
    assert python.run("from tools.github import create_issue as search").notes == ()
    assert python.run("search('a')\n").value == "{'title': 'a'}"
    assert python.run("del search\nsearch('a')").value == "['a']"


def test_without_tools_there_is_no_module_of_that_name() -> None:
    with Interpreter() as python:
        assert python.run("import tools").error.type == "ModuleNotFoundError"


def test_a_copy_of_an_interpreter_finds_what_the_first_one_found(many: list[Tool]) -> None:
    with Interpreter(tools=many) as python:
        python.run("from tools.gitlab import get_team")
        try:
            other = python.fork()
        except Exception as error:
            pytest.skip(str(error))
        assert other.run("get_team('a'), tools.gitlab.get_label('b')").value == "({'title': 'a'}, {'title': 'b'})"


def test_approvals_and_events_name_a_tool_by_its_whole_name(many: list[Tool]) -> None:
    asked = []

    async def gate(call: Any) -> Any:
        asked.append(call.tool)
        return Deny("no") if call.tool == "gitlab.get_team" else Allow()

    model = code(
        "from tools.github import create_issue\ncreate_issue('a')\ntools.github.get_team('b')\n"
        "try:\n    tools.gitlab.get_team('c')\nexcept PermissionError as error:\n    print(error)",
        "final_answer(tools.github.get_label('d')['title'])",
    )
    result = CodeAgent(model=model, tools=many, approve=["get_team", "github.get_label"], gate=gate).run("Go.")
    assert result.output == "d"
    assert asked == ["github.get_team", "gitlab.get_team", "github.get_label"]
    assert [one.tool for one in result.events if isinstance(one, ApprovalAsked)] == asked
    called = [one.tool for one in result.events if isinstance(one, ToolCalled)]
    assert called == ["github.create_issue", "github.get_team", "github.get_label"]
    (first, _) = [one.outcome for one in result.events if isinstance(one, CodeRan)]
    assert first.stdout == "gitlab.get_team() was not allowed: no\n"


def test_a_group_may_be_named_for_all_that_it_has_and_a_name_that_nothing_has_is_refused(many: list[Tool]) -> None:
    agent = CodeAgent(model=code(), tools=[*many, search], approve=["gitlab", "search", "cell"])
    assert isinstance(agent.approve, frozenset) and len(agent.approve) == 102
    with pytest.raises(UsageError, match=r"no tool 'github.creat_issue'; did you mean 'github.create_issue'\?"):
        CodeAgent(model=code(), tools=many, approve=["github.creat_issue"])


def test_the_tools_of_an_agent_are_found_by_every_name(many: list[Tool]) -> None:
    tools = CodeAgent(model=code(), tools=[*many, search]).tools
    assert tools["gitlab.get_team"] is tools["gitlab_get_team"] and tools["search"].spec.group == ""
    assert tools["get_team_of_area_3"].spec.path == "github.get_team_of_area_3"
    with pytest.raises(KeyError, match="did you mean"):
        tools["gitlab.get_taem"]


def test_a_search_records_nothing_and_is_no_turn(many: list[Tool]) -> None:
    model = code("match = tools.search('remove a webhook', 1)[0]\nprint(match)\nfinal_answer(match(title='x'))")
    result = CodeAgent(model=model, tools=many).run("Go.")
    assert result.steps == 1 and result.output == {"title": "x"}
    assert [one.tool for one in result.events if isinstance(one, ToolCalled)] == ["github.delete_webhook"]


# -- what a prompt says ------------------------------------------------------------------------------------------------


def tokens(text: str) -> float:
    """A careful estimate: prose has four characters and more a token, signatures less."""
    return len(text) / 3.5


def seen(tools: Sequence[Tool], action: Any) -> str:
    """All that a model is given before the task itself, with the declarations of its tools."""
    reply = ScriptedModel(NativeReply) if action == "json" else ScriptedModel("Answer: 1")
    model = code("final_answer(1)") if action == "code" else reply
    CodeAgent(model=model, tools=tools, action=action).run("Go.")
    (first, *_) = model.prompts
    declared = [[one.name, one.description, one.parameters] for one in first.tools]
    return first.messages[0].text + (json.dumps(declared) if declared else "")


NativeReply = Reply("", tool_calls=(NativeCall("c", "final_answer", '{"value": 1}'),), finish="tool_calls")


@pytest.mark.parametrize("action", ["code", "json", "text"])
def test_a_prompt_stays_below_two_thousand_tokens(action: Any) -> None:
    said = " It takes a title, for the team that is meant.\n\n" + "There is more to be said of it. " * 30
    every = source("github", 3000, said) + source("gitlab", 2000, said)
    sizes = {count: tokens(seen(every[:count], action)) for count in (10, 100, 1000, 5000)}
    assert max(sizes.values()) < 2000, sizes


def test_what_fits_is_declared_in_whole_then_in_brief_then_counted() -> None:
    said = " In whole.\n\n" + "More. " * 20
    few, some, much = (seen([*source("github", count, said), as_tool(search)], "code") for count in (10, 30, 300))
    assert "More. More." in few and "tools.search" not in few
    assert "def create_issue(title: str):" in some and "More. More." not in some and "`help(f)` prints" in some
    assert "def search(words: str)" in much and "the user's own way" in much, "tools of one's own come first"
    assert "There are 300 more functions that are not shown here: 300 in `tools.github`" in much


@pytest.mark.parametrize("action", ["code", "json", "text"])
def test_a_prompt_is_the_same_whatever_order_the_groups_came_in(action: Any) -> None:
    for room in (300, 4):
        one, two, three = source("one", room), source("two", room), source("three", 4)
        assert seen([*one, *two, *three], action) == seen([*three, *two[::-1], *one], action)


def test_the_room_for_tools_in_a_prompt_can_be_chosen(many: list[Tool]) -> None:
    model = code("final_answer(1)")
    CodeAgent(model=model, tools=many[:300], limits=Limits(listing=100_000)).run("Go.")
    assert "def update_team_of_area_3(title: str):" in model.prompts[0].messages[0].text


# -- called by name ----------------------------------------------------------------------------------------------------


def call(name: str, /, **arguments: Any) -> NativeCall:
    return NativeCall(f"c{len(name)}", name, json.dumps(arguments))


def test_an_agent_that_calls_tools_finds_and_calls_those_that_are_not_declared(many: list[Tool]) -> None:
    model = ScriptedModel(
        Reply("", tool_calls=(call("search_tools", query="open an issue", limit=2), call("search", words="own"))),
        Reply(
            "",
            tool_calls=(
                call("call_tool", name="github_create_issue", arguments={"title": "a"}),
                call("call_tool", name="gitlab.create_issue", arguments='{"title": "b"}'),
                call("call_tool", name="gitlab.creat_issue", arguments={}),
                call("call_tool", name="gitlab.create_issue", arguments={"titel": "c"}),
                call("call_tool", tool="x"),
                call("search_tools", query="x", limit=0),
            ),
        ),
        NativeReply,
    )
    result = ToolCallingAgent(model=model, tools=[*many, search], approve="all", gate=allow).run("Go.")
    assert [one.name for one in model.prompts[0].tools] == ["search", "search_tools", "call_tool", "final_answer"]
    first, second, _ = (event.answers for event in result.events if isinstance(event, CallsAnswered))
    assert first[0].text.startswith("def github_create_issue(title: str):") and first[1].text == "['own']"
    told = [one.text for one in second]
    assert told[:2] == ["{'title': 'a'}", "{'title': 'b'}"]
    assert "did you mean 'gitlab.create_issue'?" in told[2] and "did you mean 'title'?" in told[3]
    assert told[4] == "TypeError: call_tool takes name, a text, and arguments, an object"
    assert "limit is from 1 to 50" in told[5]
    called = [event.tool for event in result.events if isinstance(event, ToolCalled)]
    assert sorted(called) == ["github.create_issue", "gitlab.create_issue", "search"]


async def allow(call: Any) -> Allow:
    return Allow()


def test_an_agent_of_plain_text_finds_and_calls_them_too(many: list[Tool]) -> None:
    model = ScriptedModel(
        'Thought: I look.\nAction: search_tools, "open an issue", 1',
        'Thought: That is it.\nAction: github_create_issue, "hello"',
        "Answer: done",
    )
    result = CodeAgent(model=model, tools=many, action="text").run("Go.")
    assert result.output == "done"
    assert "def github_create_issue(title: str):" in model.prompts[1].messages[-1].text
    assert [event.tool for event in result.events if isinstance(event, ToolCalled)] == ["github.create_issue"]


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "flat"),
    [
        (["weather"], ["weather"]),
        (["a.search", "b.search"], ["a_search", "b_search"]),
        (["search", "b.search"], ["search", "b_search"]),
        (["a.print", "a.final_answer", "a.tools"], ["a_print", "a_final_answer", "a_tools"]),
        (["a_search", "a.search", "b.search"], ["a_search", "a_search_2", "b_search"]),
        ([f"{'g' * 60}.open"], [f"{'g' * 60}_ope"]),
        ([f"{'g' * 64}.open", f"{'g' * 64}.print"], ["g" * 64, "g" * 62 + "_2"]),
    ],
)
def test_every_tool_has_one_word_that_means_it(paths: list[str], flat: list[str]) -> None:
    specs = [ToolSpec(path.rpartition(".")[2], "()", group=path.rpartition(".")[0]) for path in paths]
    catalogue = Catalogue(specs)
    assert [catalogue.flat[path] for path in paths] == flat
    assert all(catalogue.by_flat[name].path == path for path, name in zip(paths, flat, strict=True))


def test_a_group_is_a_word_that_python_can_import_and_never_the_search() -> None:
    assert [group_name(text) for text in ("GitHub v3 API", "class", "search", "7up", "")] == [
        "GitHub_v3_API",
        "class_",
        "search_api",
        "api_7up",
        "api",
    ]
    assert group_name("a b", {"a_b"}) == "a_b_2"


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ([("a", "x"), ("a", "x")], "two tools are named 'a.x': give one another name with group="),
        ([("search", "x")], "'search' cannot be the name of a group of tools"),
        ([("a b", "x")], "'a b' cannot be the name of a group of tools"),
        ([("", "tools")], "code needs that name for its own"),
        ([("a", "class")], "it is a keyword of Python"),
    ],
)
def test_names_that_code_could_not_write_are_refused_before_anything_runs(tools: Any, words: str) -> None:
    with pytest.raises(ToolDefinitionError, match=re.escape(words)):
        CodeAgent(model=code(), tools=[DescribedTool(name, TITLED, sent, group=group) for group, name in tools])


# -- search ------------------------------------------------------------------------------------------------------------

DOCS = {
    "github.create_issue": "Open a new issue in a repository.",
    "github.search_issues": "Search issues and pull requests.",
    "github.merge_pull_request": "Merge a pull request into its base branch.",
    "github.add_label": "Put a label on an issue.",
    "mail.send_message": "Send an e-mail to one or several people.",
    "mail.list_folders": "List the folders of a mailbox.",
    "calendar.createEvent": "Schedule a meeting with guests.",
    "calendar.deleteEvent": "Cancel a meeting.",
    "files.read_file": "The content of a file.",
    "files.remove": "Remove a file or directory for good.",
    "db.query": "Run a SQL statement and give its rows.",
    "weather": "Current temperature, wind and rain in a city.",
}


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("open an issue", "github.create_issue"),
        ("a bug in the repository", "github.create_issue"),
        ("find issues", "github.search_issues"),
        ("mergeing pull requests", "github.merge_pull_request"),
        ("send email to bob", "mail.send_message"),
        ("schedule a meeting", "calendar.createEvent"),
        ("cancel the appointment", "calendar.deleteEvent"),
        ("delete a folder", "files.remove"),
        ("read file", "files.read_file"),
        ("run sql", "db.query"),
        ("temprature in Oslo", "weather"),
        ("create event", "calendar.createEvent"),
        ("label", "github.add_label"),
        ("github.add_label", "github.add_label"),
        ("tools.github.add_label()", "github.add_label"),
        ("mesage", "mail.send_message"),
        ("repo", "github.create_issue"),
    ],
)
def test_the_best_match_stands_first(words: str, first: str) -> None:
    specs = [ToolSpec(path.rpartition(".")[2], "()", doc, (), path.rpartition(".")[0]) for path, doc in DOCS.items()]
    assert Catalogue(specs).search(words)[0].path == first


@pytest.mark.parametrize("words", ["", "   ", "xyzzy", "the of and", "\x00", "é" * 5000, "a " * 5000, "🙂"])
def test_whatever_is_asked_for_is_answered(words: str) -> None:
    catalogue = Catalogue([ToolSpec("weather", "()", "Rain, and the temperature of a city.")])
    assert len(catalogue.search(words)) <= 1
