"""What a person types to name a model, and what is answered when it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from codeact.core.errors import UsageError
from codeact.models.specs import Endpoint, Spec, endpoint, keys, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("openai:gpt-5", ("openai", "gpt-5", None, {})),
        (" openai:gpt-5 ", ("openai", "gpt-5", None, {})),
        ("ollama:llama3.2:3b", ("ollama", "llama3.2:3b", None, {})),
        ("hf:meta-llama/Llama-3.1-8B:fireworks-ai", ("hf", "meta-llama/Llama-3.1-8B:fireworks-ai", None, {})),
        ("http://127.0.0.1:8000/v1#qwen/3", ("url", "qwen/3", "http://127.0.0.1:8000/v1", {})),
        ("https://x.example/v1/#a#b?seed=1", ("url", "a#b", "https://x.example/v1", {"seed": 1})),
        ("http://[::1]:8000/v1#m", ("url", "m", "http://[::1]:8000/v1", {})),
        ("replay:some dir/r.jsonl", ("replay", "some dir/r.jsonl", None, {})),
        ("replay:r.jsonl?rate=30", ("replay", "r.jsonl", None, {"rate": 30})),
        (
            "openai:g?temperature=0&max_tokens=4000&first_token=1800&reasoning_effort=low",
            (
                "openai",
                "g",
                None,
                {"temperature": 0, "max_tokens": 4000, "first_token": 1800, "reasoning_effort": "low"},
            ),
        ),
        (
            "ollama:m?extra=%7B%22a%22%3A%20true%7D&temperature=1e-1",
            ("ollama", "m", None, {"extra": {"a": True}, "temperature": 0.1}),
        ),
        ("anthropic:claude-sonnet-4-5?max_tokens=9", ("anthropic", "claude-sonnet-4-5", None, {"max_tokens": 9})),
        ("groq:llama?seed=1", ("bridge", "groq:llama", None, {"seed": 1})),
        ("pydantic:openai-chat:x:y", ("bridge", "openai-chat:x:y", None, {})),
        ("transformers:./models/tiny?device=cpu", ("transformers", "./models/tiny", None, {"device": "cpu"})),
        ("ollama:m?num_ctx=32768", ("ollama", "m", None, {"num_ctx": 32768})),
        ('ollama:m?extra={"a": {"b": null}}', ("ollama", "m", None, {"extra": {"a": {"b": None}}})),
    ],
)
def test_a_specification_names_provider_model_url_and_parameters(text: str, expected: tuple[Any, ...]) -> None:
    spec = parse(text)
    assert (spec.provider, spec.name, spec.url, spec.params) == expected
    assert spec.text == text.strip()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "opnai:gpt-5",
            "unknown provider 'opnai' in 'opnai:gpt-5'; did you mean 'openai'? A model is written openai:NAME",
        ),
        ("antropic:claude", "did you mean 'anthropic'?"),
        ("gorq:x", "did you mean 'groq'?"),
        ("groq:", "names no model"),
        ("pydantic:groq", "write pydantic:PROVIDER:NAME"),
        ("anthropic:m?min_p=0.1", "unknown parameter 'min_p'"),
        ("openai:m?api=messages", "api is chat or responses, not 'messages'"),
        ("https://x/v1#m?api=completions", "api is chat or responses or messages, not 'completions'"),
        ("openai:m?num_ctx=9000", "unknown parameter 'num_ctx'"),
        ("ollama:m?num_ctx=9", "num_ctx is a whole number from 256"),
        ("openai:m?per_minute=0", "per_minute is a number of at least 0.001"),
        ("transformers:m?retries=3", "unknown parameter 'retries'"),
        (
            "gpt-5",
            "'gpt-5' names no provider: a model is written openai:NAME, anthropic:NAME, ollama:NAME, hf:NAME, "
            "URL#NAME, transformers:PATH, pydantic:PROVIDER:NAME or replay:",
        ),
        ("", "names no provider"),
        ("openai:", "names no model"),
        ("openai:?temperature=0", "names no model"),
        ("openai: gpt-5", "names no model"),
        ("openai:gpt\n5", "one line"),
        ("http://127.0.0.1:8000/v1", "write URL#NAME"),
        ("http://127.0.0.1:8000/v1#", "write URL#NAME"),
        ("http://#m", "write it as http://HOST:PORT/v1"),
        ("http://h:99999/v1#m", "write it as http://HOST:PORT/v1"),
        ("http://a b/v1#m", "write it as http://HOST:PORT/v1"),
        ("https://me:secret@h/v1#m", "the URL https://h/v1 may hold no password"),
        ("https://h/v1?key=secret#m", "the URL https://h/v1 may hold no password and no '?'"),
        ("openai:m?temprature=0", "unknown parameter 'temprature'; did you mean 'temperature'?"),
        ("openai:m?rate=3", "unknown parameter 'rate'"),
        ("replay:f?temperature=0", "unknown parameter 'temperature'; known are rate"),
        ("openai:m?seed=1&seed=2", "'seed' is given twice"),
        ("openai:m?temperature=3", "temperature is a number from 0 to 2, not '3'"),
        ("openai:m?temperature=hot", "not 'hot'"),
        ("openai:m?temperature=NaN", "not 'NaN'"),
        ("openai:m?temperature=true", "not 'true'"),
        ("openai:m?temperature", "not 'true'"),
        ("openai:m?max_tokens=0", "max_tokens is a whole number of at least 1, not '0'"),
        ("openai:m?max_tokens=1.5", "whole number"),
        ("openai:m?first_token=0", "first_token is a number of seconds of at least 0.001"),
        ("openai:m?first_token=1e999", "not '1e999'"),
        ("openai:m?first_token=-1", "not '-1'"),
        ("openai:m?reasoning_effort=3", "reasoning_effort is a word"),
        ("openai:m?extra=3", "extra is a JSON object"),
        (r'openai:m?extra={"a": "\ud800"}', "extra is a JSON object"),
        ('openai:m?extra={"model": "x"}', "extra is a JSON object of further parameters"),
    ],
)
def test_what_names_no_model_is_answered_with_how_it_is_written(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_parameters_part_into_what_is_sent_what_is_waited_and_how_often_is_asked() -> None:
    spec = parse('openai:m?temperature=0&first_token=1800&connect=2&retries=5&extra={"top_a": 1}')
    assert spec.request == {"temperature": 0, "top_a": 1}
    assert spec.deadlines == {"first_token": 1800.0, "connect": 2.0}
    assert spec.retries == 5
    assert (parse("openai:m").retries, parse("openai:m").per_minute) == (3, None)
    by_another = parse("openai:m?api=responses&per_minute=20")
    assert (by_another.api, by_another.per_minute, by_another.request) == ("responses", 20, {})
    assert (parse("anthropic:m").api, parse("openai:m").api) == ("messages", "chat")


KEYS = {"OPENAI_API_KEY": "sk-1", "HF_TOKEN": "hf-2"}


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("openai:m", KEYS, Endpoint("https://api.openai.com/v1", "OPENAI_API_KEY", "sk-1")),
        (
            "openai:m",
            {**KEYS, "OPENAI_BASE_URL": "https://eu.x/v1/"},
            Endpoint("https://eu.x/v1", "OPENAI_API_KEY", "sk-1"),
        ),
        (
            "openai:m",
            {**KEYS, "OPENAI_ORG_ID": "org-1"},
            Endpoint("https://api.openai.com/v1", "OPENAI_API_KEY", "sk-1", {"openai-organization": "org-1"}),
        ),
        (
            "openai:m",
            {**KEYS, "OPENAI_ORG_ID": "org-1", "OPENAI_BASE_URL": "https://eu.x/v1"},
            Endpoint("https://eu.x/v1", "OPENAI_API_KEY", "sk-1"),
        ),
        (
            "anthropic:m",
            {"ANTHROPIC_API_KEY": "k"},
            Endpoint("https://api.anthropic.com", "ANTHROPIC_API_KEY", "k"),
        ),
        (
            "anthropic:m",
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"},
            Endpoint("http://127.0.0.1:9", "ANTHROPIC_API_KEY", "k"),
        ),
        ("hf:a/b", KEYS, Endpoint("https://router.huggingface.co/v1", "HF_TOKEN", "hf-2")),
        ("https://x/v1#m", KEYS, Endpoint("https://x/v1", "CODEACT_API_KEY", None)),
        ("https://x/v1#m", {**KEYS, "CODEACT_API_KEY": "mine"}, Endpoint("https://x/v1", "CODEACT_API_KEY", "mine")),
        ("ollama:m", KEYS, Endpoint("http://127.0.0.1:11434/v1")),
        ("ollama:m", {"OLLAMA_HOST": "0.0.0.0"}, Endpoint("http://127.0.0.1:11434/v1")),
        ("ollama:m", {"OLLAMA_HOST": "box:7"}, Endpoint("http://box:7/v1")),
        ("ollama:m", {"OLLAMA_HOST": "[::1]:7"}, Endpoint("http://[::1]:7/v1")),
        ("ollama:m", {"OLLAMA_HOST": "https://box.example"}, Endpoint("https://box.example:443/v1")),
        ("ollama:m", {"OLLAMA_HOST": "http://box:80/v1/"}, Endpoint("http://box:80/v1")),
    ],
)
def test_where_a_model_is_asked_and_with_which_key(text: str, environ: dict[str, str], expected: Endpoint) -> None:
    assert endpoint(parse(text), environ) == expected


@pytest.mark.parametrize(
    ("text", "environ", "words"),
    [
        ("anthropic:claude", {}, "anthropic:claude needs a key: export ANTHROPIC_API_KEY=..."),
        ("openai:gpt-5", {}, "openai:gpt-5 needs a key: export OPENAI_API_KEY=..."),
        ("openai:gpt-5", {"OPENAI_API_KEY": ""}, "needs a key"),
        ("hf:m", {"OPENAI_API_KEY": "sk-secret"}, "export HF_TOKEN=..."),
        ("openai:m", {"OPENAI_API_KEY": "sk-secret\n"}, "OPENAI_API_KEY has white space or a line break in it"),
        ("openai:m", {"OPENAI_API_KEY": "sk secret"}, "white space"),
        (
            "openai:m",
            {"OPENAI_API_KEY": "'sk-secret'"},
            "OPENAI_API_KEY has quotation marks in it: export OPENAI_API_KEY=",
        ),
        ("openai:m", {"OPENAI_API_KEY": "sk-sécret\x07"}, "characters that no key has"),
        ("https://x/v1#m", {"CODEACT_API_KEY": '"secret"'}, "CODEACT_API_KEY has quotation marks"),
        ("ollama:m", {"OLLAMA_HOST": "http://"}, "OLLAMA_HOST"),
        ("openai:m", {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "ftp://x"}, "OPENAI_BASE_URL ftp://x"),
    ],
)
def test_a_key_that_is_missing_or_broken_is_named_by_its_variable_and_never_printed(
    text: str, environ: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        endpoint(parse(text), environ)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value) and "sécret" not in str(caught.value)


def test_a_key_is_not_in_the_repr_of_what_holds_it() -> None:
    assert "sk-1" not in repr(endpoint(Spec("openai", "m"), KEYS))


def test_the_keys_that_are_set_are_known_so_that_no_file_of_ours_holds_one() -> None:
    environ = {**KEYS, "ANTHROPIC_API_KEY": "a-3\n", "CODEACT_API_KEY": "", "PATH": "/bin"}
    assert set(keys(environ)) == {"sk-1", "hf-2", "a-3"}
