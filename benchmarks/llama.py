"""llama.cpp as a language server with inline completion, on the same weights as ours: the peer of replays.

    python -m benchmarks.llama convert MODEL.gguf [--model NAME|PATH] [--quantisation Q4_0]
    python -m benchmarks.llama serve MODEL.gguf [--model NAME|PATH] [--threads N]

It asks as llama.vim does: a request for each that the editor makes, the newest withdrawing the one before by closing
its connection, greedy, to the end of the line, with `cache_prompt`, so that what the last prompt began with is not
computed again. llama.vim sends prefix and suffix where a model has tokens to fill in the middle; SmolLM2 has none, and
llama.cpp refuses to fill with it: so the prompt is the prefix alone, which spares the peer the rows behind the cursor.
As in our left stack, the prompt begins 1,024 tokens before the cursor and keeps its beginning until it has 1,536, for
with one that moves with every line nothing could be reused.

Needs `pip install -e ".[peer]"`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from tokenizers import Tokenizer

from model import store

LEAST_PROMPT_TOKENS, PROMPT_TOKENS, MOST_PROMPT_TOKENS = 256, 1024, 1536  # as `geometry` has it of the left stack
ANSWER_TOKENS = 64  # as the server's plan for a line
MOST_CHARACTERS_OF_A_TOKEN = 8  # in the mean of a long text


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.llama", description=__doc__)
    actions = parser.add_subparsers(required=True, dest="action")
    converting, serving = actions.add_parser("convert"), actions.add_parser("serve")
    for each in (converting, serving):
        each.add_argument("gguf", type=Path)
        each.add_argument("--model", default=store.DEFAULT_MODEL, help="a model's name or path (default: %(default)s)")
    converting.add_argument("--quantisation", default="Q4_0", help="default: %(default)s")
    serving.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if options.action == "convert":
        convert(options.model, options.gguf, options.quantisation)
        return 0
    serve(options.gguf, options.model, options.threads)
    return 0


def convert(model: str, gguf: Path, quantisation: str) -> None:
    """Write an installed model as a GGUF file for llama.cpp, its matrices quantised."""
    from model.checkpoint.loading import load_checkpoint
    from model.checkpoint.record import expected_shapes
    from tests.model.checkpoint_files import write_gguf

    checkpoint = load_checkpoint(store.find(model))
    floats = {name: checkpoint.float_tensor(name) for name in expected_shapes(checkpoint.config)}
    added = {token["id"] for token in json.loads(checkpoint.tokenizer.to_str())["added_tokens"]}
    kinds = [3 if number in added else 1 for number in range(checkpoint.config.vocab_size)]
    sink = checkpoint.capabilities.sink_id
    write_gguf(
        gguf,
        replace(checkpoint, tensors=floats),
        quantisation,
        **{
            "tokenizer.ggml.token_type": kinds,
            "tokenizer.ggml.bos_token_id": sink,
            "tokenizer.ggml.eos_token_id": sink,
        },
    )


class PromptWindow:
    """Where the prompt of the one file begins: at a line, and at the same one as long as that will do."""

    def __init__(self, tokenizer: Tokenizer, sink_id: int) -> None:
        self._tokenizer, self._sink_id = tokenizer, sink_id
        self._text, self._start = "", 0

    def tokens(self, text: str, cursor: int) -> list[int]:
        """Return the prompt for what follows at a string index of the file's text."""
        before, self._text = self._text, text
        if text[: self._start] != before[: self._start]:
            self._start += len(text) - len(before)  # edited above: what follows has moved
        found = self._encoded(text, cursor) if 0 <= self._start <= cursor else []
        least = LEAST_PROMPT_TOKENS if self._start else 0
        if not least <= len(found) <= MOST_PROMPT_TOKENS or not 0 <= self._start <= cursor:
            self._start = self._begin_anew(text, cursor)
            found = self._encoded(text, cursor)
        return [self._sink_id, *found]

    def _begin_anew(self, text: str, cursor: int) -> int:
        rough = max(0, cursor - PROMPT_TOKENS * MOST_CHARACTERS_OF_A_TOKEN)
        offsets = self._tokenizer.encode(text[rough:cursor], add_special_tokens=False).offsets
        if rough == 0 and len(offsets) <= PROMPT_TOKENS:
            return 0
        start = rough + offsets[-min(PROMPT_TOKENS, len(offsets))][0]
        return text.find("\n", start, cursor) + 1 or start

    def _encoded(self, text: str, cursor: int) -> list[int]:
        return list(self._tokenizer.encode(text[self._start : cursor], add_special_tokens=False).ids)


class Peer:
    """llama.cpp's HTTP server in this process."""

    def __init__(self, gguf: Path, model: str, threads: int) -> None:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(gguf)
        parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 4096, 1, 0
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        self._server = xllamacpp.Server(parameters)
        self._host, _, port = self._server.listening_address.removeprefix("http://").partition(":")
        self._port = int(port)
        path = store.find(model)
        sink = int(json.loads((path / "setfill.json").read_text())["capabilities"]["sink_id"])
        self._window = PromptWindow(Tokenizer.from_file(str(path / "tokenizer.json")), sink)

    async def complete(self, text: str, cursor: int, tokens: int = ANSWER_TOKENS, stop: Sequence[str] = ("\n",)) -> str:
        """Return what follows at a string index, to the line's end if no other is given. Cancelling withdraws it."""
        asked = {
            "prompt": self._window.tokens(text, cursor), "n_predict": tokens, "temperature": 0, "stop": list(stop),
            "cache_prompt": True, "stream": True,
        }  # fmt: skip
        return "".join([str(part["content"]) async for part in self._ask(asked)])

    async def _ask(self, asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            body = json.dumps(asked).encode()
            head = f"POST /completion HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n"
            content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write((head + content).encode() + body)
            while line := await reader.readline():
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])
        finally:
            writer.close()  # by which the server knows that nobody waits any more


def serve(gguf: Path, model: str, threads: int) -> None:
    """Be a language server on the standard streams."""
    logging.getLogger("pygls").setLevel(logging.CRITICAL)  # of requests that only Setfill knows
    peer, server = Peer(gguf, model, threads), LanguageServer("llama.cpp", "1")
    asking: asyncio.Task[str] | None = None

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline_completion(params: types.InlineCompletionParams) -> list[types.InlineCompletionItem] | None:
        nonlocal asking
        if asking:
            asking.cancel()
        document = server.workspace.get_text_document(params.text_document.uri)
        cursor = document.offset_at_position(params.position)
        own = asking = asyncio.create_task(peer.complete(document.source, cursor))
        try:
            text = await own
        except asyncio.CancelledError:
            own.cancel()
            if asking is own:
                raise
            return None
        here = types.Range(params.position, params.position)
        return [types.InlineCompletionItem(text, range=here)] if text.strip() else []

    server.start_io()


if __name__ == "__main__":
    sys.exit(main())
