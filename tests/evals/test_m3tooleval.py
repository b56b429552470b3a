"""The benchmark's tools behave as the paper's, its data are whole, and the perfect policy solves it."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cli.command import Done, codeact
from codeact.core.actions import Form
from codeact.evals import m3tooleval
from codeact.evals.m3tooleval.arithmetic import calculator
from codeact.ports import Tool

ROOT = Path(__file__).parent.parent.parent


def tools(domain: str, variant: m3tooleval.Variant = "fixed", form: Form = "json") -> Mapping[str, Tool]:
    tasks = m3tooleval.tasks(variant)
    task = next(task for task in tasks.tasks if task.domain == domain)
    return {tool.spec.name: tool for tool in tasks.tools(task, form)}


def call(tool: Tool, *args: Any) -> Any:
    return asyncio.run(tool.call(tool.bind(args, {})))


# -- the data ----------------------------------------------------------------------------------------------------------


def test_there_are_82_tasks_of_five_domains_with_the_licence_beside_them() -> None:
    for variant in ("fixed", "verbatim"):
        tasks = m3tooleval.tasks(variant).tasks
        assert Counter(task.domain for task in tasks) == {
            "message_decoder": 8,
            "cryptobotanists_plant_dna_sequencer": 8,
            "trade_calculator": 17,
            "travel_itinerary_planning": 15,
            "web_browsing": 34,
        }
        assert len({task.name for task in tasks}) == len({task.instruction for task in tasks}) == 82
    licence = (files(m3tooleval) / "data" / "LICENSE").read_text()
    assert "MIT License" in licence and "Copyright (c) 2024 Xingyao Wang" in licence


def test_a_tuple_is_expected_as_a_tuple() -> None:
    expected = {task.name: task.expected for task in m3tooleval.tasks().tasks}
    pair = expected["cryptobotanists_plant_dna_sequencer/find_most_common_nucleotide_combined_sequence"]
    assert pair == ("A", 3) and isinstance(pair, tuple)


# -- the tools ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "tool", "args", "value"),
    [
        ("message_decoder", "convert_hex_to_ascii", ["4a656d"], "Jem"),
        ("message_decoder", "reverse_string", ["Jem"], "meJ"),
        ("message_decoder", "caesar_decode", ["Cde, z 1", 3], "Zab, w 1"),
        ("message_decoder", "caesar_decode", ["b", 27], "a"),
        ("message_decoder", "string_length", ["Jem"], 3),
        ("message_decoder", "minimum_value", [3, 1.5, 2], 1.5),
        ("message_decoder", "maximum_value", [3, 1, 2], 3),
        ("cryptobotanists_plant_dna_sequencer", "count_nucleotides", ["TACGCA"], {"T": 1, "A": 2, "C": 2, "G": 1}),
        ("cryptobotanists_plant_dna_sequencer", "transcribe_dna_to_mrna", ["ACGT"], "UGCA"),
        ("cryptobotanists_plant_dna_sequencer", "translate_mrna_to_amino_acid", ["AUGUUUUUCAAAA"],
         "Methionine-Phenylalanine-Phenylalanine-X-X"),
        ("cryptobotanists_plant_dna_sequencer", "find_max_nucleotide", ["A", 3, "C", 3, "G", 1], ("A", 3)),
        ("cryptobotanists_plant_dna_sequencer", "is_valid_dna_sequence", ["AGCTTX"], False),
        ("cryptobotanists_plant_dna_sequencer", "reverse_transcribe_mrna_to_dna", ["UCAG"], "AGTC"),
        ("trade_calculator", "convert_currency", [50, 1.5], 75.0),
        ("trade_calculator", "calculate_tariff", [75, 8], 6.0),
        ("trade_calculator", "estimate_final_value", [75, 6], 81.0),
        ("trade_calculator", "calculator", ["2 + (3 * 4)"], 14),
        ("trade_calculator", "find_minimum", [3, 1, 2], 1),
        ("trade_calculator", "find_maximum", [3, 1, 2], 3),
        ("travel_itinerary_planning", "budget_calculator", [165, 150, 3], 615),
        ("travel_itinerary_planning", "maximum", [1, 3, 2], 3),
        ("travel_itinerary_planning", "total", [1, 3, 2], 6),
        ("web_browsing", "click_url", ["/nowhere"], "[URL not found.]"),
        ("web_browsing", "go_to_previous_page", [], "[No previous page.]"),
        ("web_browsing", "scroll_up", [], "[Reached the top of the page.]\n"),
    ],
)  # fmt: skip
def test_a_tool_does_what_the_papers_does(domain: str, tool: str, args: list[Any], value: Any) -> None:
    given = call(tools(domain)[tool], *args)
    assert given == value and type(given) in (type(value), int, float, list)


def test_flights_and_hotels_are_found_with_or_without_quotes_and_an_unknown_place_is_told() -> None:
    found = tools("travel_itinerary_planning")
    flights = call(found["find_flights"], "E", '"B"', "2023-11-10")
    assert [flight["price"] for flight in flights] == [350, 165]
    hotels = call(found["book_hotel"], "B", "pool", "gym")
    assert [hotel["price_per_night"] for hotel in hotels] == [160]
    with pytest.raises(ValueError, match='"Z" is not known: there are "A", "B", "C", "D", "E"'):
        call(found["find_flights"], "E", "Z", "2023-11-10")


def test_the_browser_shows_five_lines_and_remembers_where_it_was() -> None:
    found = tools("web_browsing")
    first = call(found["view"])
    assert first.splitlines()[:5] == [
        "-" * 10,
        "[Web Page Name: /]",
        "[Viewing page 1 of 2]",
        "",
        "Welcome to MagicWand Co.!",
    ]
    assert len(first.splitlines()) == 10
    assert "Meet Our Team" in call(found["scroll_down"])
    assert call(found["scroll_down"]) == "[Reached the bottom of the page.]\n"
    assert call(found["click_url"], "'/products'").startswith("[Opened page: /products]\n----------\n[Web Page Name:")
    assert call(found["go_to_previous_page"]) == f"[Opened page: /]\n{first}"
    assert call(tools("web_browsing")["view"]) == first, "another task has a browser of its own"


def test_every_link_leads_somewhere_once_it_is_mended() -> None:
    def lost(variant: m3tooleval.Variant) -> set[str]:
        click, down = (tools("web_browsing", variant)[name] for name in ("click_url", "scroll_down"))
        seen, waiting, missing = set(), ["/"], set()
        while waiting:
            url = waiting.pop()
            seen.add(url)
            text = call(click, url)
            if text == "[URL not found.]":
                missing.add(url)
                continue
            while "[Reached" not in (more := call(down)):
                text += more
            waiting += [link for link in re.findall(r"Clickable '([^']+)'", text) if link not in seen]
        return missing

    assert lost("fixed") == set()
    assert lost("verbatim") == {"/team/customer_support", "/blog/wand-maintenance"}


@pytest.mark.parametrize(
    "expression",
    ["__import__('os')", "2 ** 10 ** 10", "9**9**9**9", "'a' * 3", "1 +", "(" * 5000, "1/0", "x", "print(1)", "True"],
)
def test_the_calculator_reckons_and_runs_nothing(expression: str) -> None:
    assert calculator(expression) == f"Failed to evaluate expression: {expression}"


def test_the_calculator_knows_the_usual_forms() -> None:
    assert [calculator(text) for text in ("-(7 // 2) % 5", " 2 ** 0.5 ", "sum([1, 2.5])", "round(2.675, 1)")] == [
        2,
        2**0.5,
        3.5,
        2.7,
    ]


def test_a_signature_is_shown_as_the_paper_has_it_or_as_it_is() -> None:
    assert tools("travel_itinerary_planning")["find_flights"].spec.signature.startswith("(from_location: str, ")
    shown = tools("travel_itinerary_planning", "verbatim")["find_flights"].spec
    assert shown.signature == "(destination: str, date: str) -> List[Dict]"
    assert [one.name for one in shown.parameters] == ["from_location", "to_location", "date"]


def test_code_has_max_min_and_sum_of_its_own() -> None:
    assert not {"maximum", "max"} & set(tools("travel_itinerary_planning", form="code"))


# -- the oracle --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Path]:
    home = tmp_path_factory.mktemp("home")
    words = ("--model", "oracle", "--jobs", "2", "--json", "--picture", "figures.svg")
    return codeact("eval", "m3tooleval", *words, home=home), home


@pytest.fixture(scope="module")
def bold(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """It makes all calls at once that do not need each other."""
    home = tmp_path_factory.mktemp("home")
    done = codeact("eval", "m3tooleval", "--model", "oracle?calls=many", "--action", "json", "--json", home=home)
    assert done.code == 0, done.err
    counted: dict[str, Any] = done.lines[0]["results"]["json"]
    return counted


def test_a_perfect_policy_solves_all_82_in_two_turns_by_code_and_takes_several_times_as_many_by_calls(
    oracle: tuple[Done, Path], bold: dict[str, Any]
) -> None:
    done, _home = oracle
    assert done.code == 0, done.err
    (line,) = done.lines
    assert (line["set"], line["variant"], line["model"], line["complete"]) == ("m3tooleval", "fixed", "oracle", True)
    assert list(line["results"]) == ["code", "json", "text"]
    code, calls, text = line["results"].values()
    for one in (code, calls, text, bold):
        assert (one["tasks"], one["solved"], one["success"]) == (82, 82, 1.0)
        assert one["input_tokens"] is None and one["output_tokens"] is None, "unknown is not 0"
        assert sum(part["solved"] for part in one["domains"].values()) == 82
    assert code["turns"] == 2
    assert text["turns"] == calls["turns"] == calls["calls"] + 1 == pytest.approx(6.84, abs=0.01)
    assert bold["calls"] == calls["calls"] and bold["turns"] == pytest.approx(5.06, abs=0.01)
    assert calls["input_bytes"] > bold["input_bytes"] > 2 * code["input_bytes"]


def test_the_docs_say_what_the_command_prints(oracle: tuple[Done, Path], bold: dict[str, Any]) -> None:
    """The words of a prompt may change a little without a change of these."""
    results = oracle[0].lines[0]["results"]
    code, calls = results["code"], results["json"]
    readme, page = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/evaluations.md"))
    for text in (readme, page):
        claims = re.findall(r"(\S+) times the turns and (\S+) times the bytes read", " ".join(text.split()))
        assert len(claims) == 2
        for claim, one in zip(claims, (calls, bold), strict=True):
            assert claim[0] == f"{one['turns'] / code['turns']:.1f}"
            assert float(claim[1]) == pytest.approx(one["input_bytes"] / code["input_bytes"], abs=0.15)
    assert f"Beside code, json took {calls['turns'] / code['turns']:.1f} times the turns" in oracle[0].err
    table = page.partition("### The oracle")[2].partition("![")[0]
    header, _, *rows = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines() if row.startswith("|")
    ]
    told = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
    for form, one in {**results, "json, many calls a turn": bold}.items():
        assert told["solved"][form] == f"{one['solved']} of {one['tasks']}"
        assert told["turns"][form] == f"{one['turns']:.1f}"
        for name, key in (("bytes read in a task", "input_bytes"), ("bytes written in a task", "output_bytes")):
            assert float(told[name][form].replace(",", "")) == pytest.approx(one[key], rel=0.05), (name, form)


def test_the_picture_shows_every_form_and_domain(oracle: tuple[Done, Path]) -> None:
    done, home = oracle
    picture = ElementTree.parse(home / "figures.svg").getroot()
    bars = [bar.get("class") for bar in picture.iter("{http://www.w3.org/2000/svg}rect")]
    (line,) = done.lines
    assert Counter(bars) == dict.fromkeys(line["results"], 4 * 6)
    words = "".join(picture.itertext())
    assert "web_browsing" in words and "turns of a task" in words


def test_in_ten_replies_not_all_can_be_done_by_one_call_each(tmp_path: Path) -> None:
    words = ("--model", "oracle", "--variant", "verbatim", "--action", "json,text", "--json")
    done = codeact("eval", "m3tooleval", *words, home=tmp_path)
    assert done.code == 0, done.err
    (line,) = done.lines
    for one in line["results"].values():
        assert (one["tasks"], one["solved"]) == (82, 72)
    results = [json.loads(text) for text in Path(line["file"]).read_text().splitlines()[1:]]
    assert {result["stop_reason"] for result in results if not result["solved"]} == {"max_steps"}


def test_a_perfect_policy_solves_the_papers_own_variant_by_code(tmp_path: Path) -> None:
    words = ("--model", "oracle", "--variant", "verbatim", "--action", "code", "--jobs", "2", "--json")
    done = codeact("eval", "m3tooleval", *words, home=tmp_path)
    (line,) = done.lines
    assert line["results"]["code"]["solved"] == 82, done.err
