"""Whatever JSON a server sends in whatever order, it becomes a reply, a ModelError or a refusal: nothing crashes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact.core.errors import ModelError
from codeact.core.messages import Reply
from codeact.models.anthropic.question import Messages
from codeact.models.ollama.context import context_of
from codeact.models.ollama.native import Native
from codeact.models.openai.responses import Responses
from codeact.models.server import Dialect
from codeact.models.server.chat import Chat
from codeact.models.server.refusal import Refused, Server, error_for, rejected_parameter, rejected_pictures

_KINDS = """
message_start content_block_start content_block_delta content_block_stop message_delta message_stop message ping text
thinking tool_use text_delta thinking_delta input_json_delta error response.created response.completed
response.incomplete response.failed response.output_text.delta response.output_item.added refusal
response.output_item.done response.function_call_arguments.delta response.refusal.delta function_call stop
response.reasoning_summary_part.added end_turn overloaded_error response completed [DONE]
"""
KINDS = _KINDS.split()
_KEYS = """
type choices index delta content text finish_reason tool_calls function name arguments id usage prompt_tokens error
model message role reasoning refusal content_block partial_json input stop_reason stop_details input_tokens code
cache_read_input_tokens response item output_index call_id output status incomplete_details reason done done_reason
prompt_eval_count object summary summary_index input_tokens_details thinking param models context_length parameters
model_info a.context_length
"""
KEYS = _KEYS.split()
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from([2**70, 1.5, "", "\ud83d"])
    | st.sampled_from(KINDS)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
EVENTS = st.lists(
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5)
    | st.builds(
        lambda kind, rest: {**rest, "type": kind},
        st.sampled_from(KINDS),
        st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
    ),
    max_size=6,
)


@pytest.mark.parametrize("dialect", [Chat(), Responses(), Messages(), Native()], ids=lambda dialect: dialect.path)
@settings(max_examples=75, deadline=None)
@given(events=EVENTS)
def test_no_answer_breaks_its_reader(dialect: Dialect, events: list[dict[str, Any]]) -> None:
    answer = dialect.answer("m", ("STOP",))
    server = Server("h", "m", "KEY", "k")
    try:
        for event in events:
            for delta in answer.take(json.dumps(event)):
                delta.text.encode()
        reply = answer.reply()
    except ModelError:
        return
    except Refused as refused:
        assert isinstance(error_for(refused, server, None, 0.0), ModelError)
        return
    assert isinstance(reply, Reply)
    reply.text.encode()
    assert len({call.id for call in reply.tool_calls}) == len(reply.tool_calls)
    counts = (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cached_tokens)
    assert all(count is None or count >= 0 for count in counts)


@settings(max_examples=75, deadline=None)
@given(body=VALUES, status=st.sampled_from([400, 404, 422, 429, 500]))
def test_no_refusal_and_no_description_breaks_its_reader(body: Any, status: int) -> None:
    refused = Refused(status, json.dumps(body))
    assert isinstance(error_for(refused, Server("h", "m"), ["a"], 0.0), ModelError)
    rejected_parameter(refused, {"temperature", "stop"})
    rejected_pictures(refused)
    context_of("m", body, body).note("m", 3)
