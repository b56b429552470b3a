"""Weights in this process: a tiny model of random ones, which babbles, but streams, ends and fails like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codeact.core.errors import ContextOverflow, ModelRejected, UsageError
from codeact.core.messages import Prompt, ToolDeclaration, say
from codeact.testing import check_model

from .asking import PROMPT, ask

torch = pytest.importorskip("torch", reason="PyTorch is absent: it comes with the extra `transformers`")
transformers = pytest.importorskip(
    "transformers", reason="transformers is absent: it comes with the extra of that name"
)

TEMPLATE = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}assistant"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("weights")
    words = ["<end>", "<unk>", "system", "user", "assistant", "Be", "brief", ".", "city", "colder", "?", "Oslo", "a"]
    inner = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", unk_token="<unk>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        max_position_embeddings=64,
        num_key_value_heads=2,
        eos_token_id=0,
        pad_token_id=0,
        **shape,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def model_of(weights: Path, **parameters: Any) -> Any:
    from codeact.models.transformers import TransformersModel

    return TransformersModel(weights, device="cpu", parameters={"max_tokens": 8, "temperature": 0, **parameters})


async def test_it_keeps_the_contract_of_a_model_and_counts_its_tokens(weights: Path) -> None:
    reply = await check_model(model_of(weights), PROMPT)
    assert reply.usage.input_tokens and reply.usage.output_tokens in range(1, 9)
    assert reply.finish in ("stop", "length")


async def test_the_same_seed_gives_the_same_reply_which_ends_at_a_stop_sequence(weights: Path) -> None:
    model = model_of(weights, temperature=1, seed=3, max_tokens=32)
    first, again = await ask(model, Prompt(PROMPT.messages)), await ask(model, Prompt(PROMPT.messages))
    assert first.reply is not None and again.reply is not None and first.reply.text == again.reply.text
    word = first.reply.text.split()[1]
    cut = await ask(model, Prompt(PROMPT.messages, (word,)))
    assert cut.reply is not None and word not in cut.reply.text and cut.reply.finish == "stop"


async def test_a_prompt_over_the_context_and_tools_are_refused(weights: Path) -> None:
    model = model_of(weights)
    long = await ask(model, Prompt((say("user", "Oslo " * 99),)))
    assert type(long.error) is ContextOverflow
    tools = await ask(model, Prompt(PROMPT.messages, tools=(ToolDeclaration("f", "", {}),)))
    assert type(tools.error) is ModelRejected


async def test_what_holds_no_weights_is_said_when_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json"):
        model_of(tmp_path)
