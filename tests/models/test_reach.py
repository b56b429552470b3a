"""Which models can be used from here: keys that are set, servers that answer on this machine."""

from __future__ import annotations

from codeact.models.reach import Reach, providers_in_reach

from . import server as s

NO_OLLAMA = {"OLLAMA_HOST": "models.example"}  # not of this machine, so it is not asked


def test_a_key_in_the_environment_is_found_and_a_broken_one_is_said_to_be_broken() -> None:
    environ = {**NO_OLLAMA, "OPENAI_API_KEY": "sk-secret", "HF_TOKEN": "'hf-secret'", "CODEACT_API_KEY": "my-secret"}
    found = providers_in_reach(environ, local=())
    assert found[0] == Reach("openai", "OPENAI_API_KEY is set", "openai:gpt-5")
    assert found[1].provider == "hf" and "quotation marks" in found[1].found and found[1].spec is None
    assert found[2].found == "CODEACT_API_KEY is set"
    assert "secret" not in str(found)


def test_with_nothing_set_and_nothing_running_nothing_is_found() -> None:
    with s.serving() as dead:
        pass
    assert providers_in_reach({"OLLAMA_HOST": f"127.0.0.1:{dead.port}"}, local=[("vLLM", dead.url)]) == []


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
