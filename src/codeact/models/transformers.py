"""A model whose weights lie here, run in this process with PyTorch.

One reply is made at a time, in a thread of its own; it ends between two tokens when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteria, StoppingCriteriaList, TextStreamer

from codeact.core.errors import ContextOverflow, ModelError, ModelRejected, UsageError
from codeact.core.messages import Finish, Prompt, Reply, Usage
from codeact.models.server.draft import Draft, mended
from codeact.models.server.turns import has_pictures, turns
from codeact.ports import Emit

_MAX_TOKENS = 4096
_SPOKEN = {"max_tokens": "max_new_tokens"}
_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length"}


class _Ended(StoppingCriteria):  # type: ignore[misc]
    """Whether to stop before the next token."""

    def __init__(self) -> None:
        self.now = threading.Event()

    def __deepcopy__(self, _: Any) -> _Ended:
        return self  # the library may copy what it was given; it is this event that is set

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        return torch.full((input_ids.shape[0],), self.now.is_set(), dtype=torch.bool, device=input_ids.device)


class _Stream(TextStreamer):  # type: ignore[misc]
    """Gives text as soon as it is whole words."""

    def __init__(self, tokenizer: Any, give: Any) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._give = give

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Hand it over."""
        self._give(text)


class TransformersModel:
    """The weights in the folder `path`, or of that name on the Hugging Face hub; loaded when first asked.

    `device` is `cpu`, `cuda`, ...; by itself the best there is. `parameters` go to `generate`. `name` is the
    specification, for journals.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        device: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = str(path)
        if self._path.startswith((".", "/", "~")):
            folder = Path(self._path).expanduser()
            if not (folder / "config.json").is_file():
                raise UsageError(f"{self._path} holds no weights of transformers: there is no config.json in it")
            self._path = str(folder)
        self._name = name or f"transformers:{path}"
        self._device = device or _best_device()
        self._parameters = {_SPOKEN.get(key, key): value for key, value in (parameters or {}).items()}
        self._lock = threading.Lock()  # one reply at a time: the weights are shared
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """The specification that names it."""
        return self._name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The whole reply; text goes to `emit` as it comes. Raises only ModelError."""
        if prompt.tools:
            raise ModelRejected(f"{self._name} has no tool calls in a form of its own: let it act by code")
        draft, ended, loop = Draft("", prompt.stop), _Ended(), asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        def give(text: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, text)

        def over(_: Any) -> None:
            pieces.put_nowait(None)

        work = asyncio.ensure_future(asyncio.to_thread(self._generate, prompt, ended, give))
        work.add_done_callback(over)
        try:
            while (text := await pieces.get()) is not None:
                for delta in draft.say(text):
                    emit(delta)
                if draft.stopped:
                    ended.now.set()
        finally:
            ended.now.set()  # the thread ends at its next token
        asked, answered, whole = await work
        if has_pictures(prompt):
            draft.note(f"{self._name} takes no pictures: asked without them")
        reply = draft.reply("stop" if whole else "length", _FINISH, Usage(asked, answered))
        return replace(reply, context=self._sees())

    def _sees(self) -> int | None:
        """Tokens of prompt and reply, where the weights tell."""
        config = self._loaded[0].config if self._loaded is not None else None
        room = getattr(config, "max_position_embeddings", None)
        return room if isinstance(room, int) else None

    def _generate(self, prompt: Prompt, ended: _Ended, give: Any) -> tuple[int, int, bool]:
        """Tokens of the prompt, of the reply, and whether it ended by itself. In a thread."""
        with self._lock:
            model, tokenizer = self._load()
            told = [
                {"role": message.role, "content": mended(message.text)} for message in turns(prompt, pictures=False)
            ]
            try:  # what code put out is text, also where it reads like the end of a turn
                inputs = tokenizer.apply_chat_template(
                    told,
                    add_generation_prompt=True,
                    sanitize_control_tokens=True,
                    return_tensors="pt",
                    return_dict=True,
                ).to(self._device)
            except Exception as error:  # the template is a program of the model's maker
                raise ModelRejected(f"the chat template of {self._name} fails: {error}") from error
            asked, room = inputs["input_ids"].shape[1], getattr(model.config, "max_position_embeddings", None)
            if isinstance(room, int) and asked >= room:
                raise ContextOverflow(f"the prompt has {asked} tokens, {self._name} sees at most {room}")
            made = self._run(model, tokenizer, inputs, ended, give)
        tokens = made[0, asked:]
        ends = model.generation_config.eos_token_id
        last = int(tokens[-1]) if len(tokens) else None
        whole = ended.now.is_set() or last in (ends if isinstance(ends, list) else [ends])
        return asked, len(tokens), whole

    def _run(self, model: Any, tokenizer: Any, inputs: Any, ended: _Ended, give: Any) -> Any:
        settings = {"max_new_tokens": _MAX_TOKENS, **self._parameters}
        seed = settings.pop("seed", None)
        if "temperature" in settings:
            settings["do_sample"] = settings["temperature"] > 0
            if not settings["do_sample"]:
                del settings["temperature"]
        if seed is not None:
            torch.manual_seed(seed)
        try:
            with torch.inference_mode():
                return model.generate(
                    **inputs,
                    **settings,
                    streamer=_Stream(tokenizer, give),
                    stopping_criteria=StoppingCriteriaList([ended]),
                )
        except (RuntimeError, ValueError, IndexError) as error:
            raise ModelError(f"{self._name} fails: {error}") from error

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            try:
                tokenizer = AutoTokenizer.from_pretrained(self._path)
                model = AutoModelForCausalLM.from_pretrained(self._path, dtype="auto").to(self._device).eval()
            except (OSError, ValueError, RuntimeError, ImportError) as error:
                raise ModelRejected(f"{self._name} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
            if not tokenizer.chat_template:
                raise ModelRejected(f"{self._name} has no chat template: it is no model for conversations")
            self._loaded = (model, tokenizer)
        return self._loaded


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
