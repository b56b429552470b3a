"""Which models can be used from here: keys that are set, servers that answer on this machine."""

from __future__ import annotations

from codeact.installation import adding
from codeact.models.reach import Reach, providers_in_reach

from . import server as s

NO_OLLAMA = {"OLLAMA_HOST": "models.example"}  # not of this machine, so it is not asked


def test_a_key_in_the_environment_is_found_and_a_broken_one_is_said_to_be_broken() -> None:
    environ = {**NO_OLLAMA, "OPENAI_API_KEY": "sk-secret", "HF_TOKEN": "'hf-secret'", "CODEACT_API_KEY": "my-secret"}
    environ |= {"ANTHROPIC_API_KEY": "a-secret", "GROQ_API_KEY": "g-secret"}
    found = providers_in_reach(environ, local=())
    assert found[0] == Reach("openai", "OPENAI_API_KEY is set", "openai:gpt-5")
    assert found[1] == Reach("anthropic", "ANTHROPIC_API_KEY is set", "anthropic:claude-sonnet-4-5")
    assert found[2].provider == "hf" and "quotation marks" in found[2].found and found[2].spec is None
    assert found[3].found == "CODEACT_API_KEY is set"
    assert found[4].provider == "groq" and found[4].found.startswith("GROQ_API_KEY is set")
    assert "secret" not in str(found)


def test_with_nothing_set_and_nothing_running_nothing_is_found() -> None:
    with s.serving() as dead:
        pass
    assert providers_in_reach({"OLLAMA_HOST": f"127.0.0.1:{dead.port}"}, local=[("vLLM", dead.url)]) == []


def test_a_key_of_the_bridge_says_what_is_missing_where_the_bridge_is() -> None:
    environ = {**NO_OLLAMA, "GROQ_API_KEY": "g-secret"}
    [found] = providers_in_reach(environ, local=(), bridge=True)
    assert found == Reach("groq", "GROQ_API_KEY is set", "groq:NAME")
    [missing] = providers_in_reach(environ, local=(), bridge=False)
    assert missing == Reach("groq", f"GROQ_API_KEY is set; it is asked after {adding('bridge')}", None)


def test_servers_of_this_machine_are_found_with_the_line_to_type() -> None:
    with s.serving(models=["llama3.2:3b", "qwen3"]) as ollama, s.serving(models=["big"]) as vllm:
        found = providers_in_reach({"OLLAMA_HOST": f"127.0.0.1:{ollama.port}"}, local=[("vLLM", vllm.url)])
    assert found == [
        Reach("ollama", f"{ollama.url} answers, with 2 models", "ollama:llama3.2:3b"),
        Reach("vLLM", f"{vllm.url} answers, with 1 model", f"{vllm.url}#big"),
    ]
    assert all("authorization" not in asked.headers for asked in [*ollama.asked, *vllm.asked])


def test_another_server_on_the_port_is_not_taken_for_a_model_and_a_silent_one_is_not_waited_for() -> None:
    with s.serving(models=None) as website, s.serving(silent=True) as silent:
        assert providers_in_reach(NO_OLLAMA, local=[("vLLM", website.url), ("llama.cpp", silent.url)]) == []
