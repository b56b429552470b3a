"""A model's name decides how much it is told and what carries its code, where something is known of it."""

from __future__ import annotations

import pytest

from codeact import UsageError
from codeact.core.profiles import PROFILES, billions, chosen, named


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        ("openai:gpt-5", "standard"),
        ("openai:gpt-4o-mini", "standard"),
        ("anthropic:claude-haiku-4-5", "standard"),
        ("ollama:qwen2.5-coder:7b", "standard"),
        ("ollama:qwen2.5-coder:3b", "small"),
        ("ollama:qwen2.5-coder:1.5b", "small"),
        ("ollama:qwen2.5-coder:1.5b-instruct-q4_K_M?num_ctx=8192", "small"),
        ("hf:Qwen/Qwen2.5-Coder-0.5B-Instruct", "small"),
        ("http://127.0.0.1:8000/v1#Qwen2.5-Coder-3B-Instruct", "small"),
        ("http://127.0.0.1:8000/1b/v1#Qwen2.5-Coder-32B-Instruct", "standard"),
        ("ollama:gemma3n:e4b", "small"),
        ("ollama:gemma3:270m", "small"),
        ("ollama:llama3.2", "small"),
        ("ollama:llama3.2:latest", "small"),
        ("ollama:phi3:mini", "small"),
        ("ollama:tinyllama", "small"),
        ("hf:Qwen/Qwen2.5-7B-Instruct-1M", "standard"),
        ("openai:somebody-long-1m", "standard"),
        ("hf:mistralai/Mixtral-8x7B-Instruct-v0.1", "standard"),
        ("hf:Qwen/Qwen3-30B-A3B", "standard"),
        ("hf:xingyaoww/CodeActAgent-Mistral-7b-v0.1", "codeact"),
        ("transformers:/models/SmolLM3-3B/", "smollm3"),
        ("transformers:/home/me/codeact/1b/Qwen2.5-32B", "standard"),
        ("transformers:/cache/models--Qwen--Qwen2.5-0.5B/snapshots/060db6499f32faf8b98477b0a26969ef7d8b9987", "small"),
        ("hf:Salesforce/xLAM-2-3b-fc-r", "native"),
        ("replay:/tmp/qwen-1b.jsonl", "standard"),
        ("scripted", "standard"),
        ("", "standard"),
    ],
)
def test_a_name_chooses_a_profile(model: str, profile: str) -> None:
    assert chosen(model) == profile


def test_parameters_are_counted_as_names_tell_them() -> None:
    assert billions("qwen3-30b-a3b") == 30 and billions("smollm:135m") == 0.135 and billions("gpt-5") is None


def test_an_unknown_profile_is_named_with_the_nearest() -> None:
    assert named("small") is PROFILES["small"]
    with pytest.raises(UsageError, match=r"no profile 'smal': .*; did you mean 'small'"):
        named("smal")
