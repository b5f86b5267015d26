"""OpenAI's side: chat completions, embeddings and the list of models, by the types of its library."""

import base64
import struct

from openai.types import CreateEmbeddingResponse, Embedding, EmbeddingCreateParams, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from strict_types import adapter
from wire import KEY, SHORT_TOKENS, THINKER, Refusal, check, echo, pieces, read, take_extensions

WHOLE = adapter(CompletionCreateParamsNonStreaming)
STREAMED = adapter(CompletionCreateParamsStreaming)
EMBEDDING = adapter(EmbeddingCreateParams)
# Taken by most servers of this API, though not by OpenAI's.
EXTENSIONS = {"top_k": (int,), "grammar": (str,)}
COMMON = {"id": "chatcmpl-1", "created": 1}


def chat(headers, body):
    """Answers `POST /v1/chat/completions`."""
    authorized(headers)
    request = read(headers, body)
    standard = dict(request)
    take_extensions(standard, EXTENSIONS)
    check(STREAMED if request.get("stream") else WHOLE, standard)
    text, calls, finish = reply(request)
    if request.get("stream"):
        return events(request, text, calls, finish)
    message = {"role": "assistant", "content": text, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    if request["model"] == THINKER:
        # As most servers of this API tell it: the library has no type for it.
        message["reasoning_content"] = "hm, wörds"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    completion = ChatCompletion(
        **COMMON, object="chat.completion", model=request["model"], choices=[choice], usage=usage(text)
    )
    return completion.model_dump_json(exclude_unset=True)


def reply(request):
    """The text, the tool calls and the reason to stop. A tool is called where one may be and none has answered yet."""
    text = echo(request)
    choice = request.get("tool_choice", "auto")
    if "tools" in request and choice != "none" and request["messages"][-1]["role"] != "tool":
        named = choice["function"]["name"] if isinstance(choice, dict) else None
        name = named or request["tools"][0]["function"]["name"]
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}
        return None, [call], "tool_calls"
    limit = request.get("max_tokens") or request.get("max_completion_tokens") or SHORT_TOKENS
    if limit < SHORT_TOKENS:
        return text[:limit], [], "length"
    return text, [], "stop"


def events(request, text, calls, finish):
    """The chunks of a streamed answer."""

    def event(choices, **more):
        chunk = ChatCompletionChunk(
            **COMMON, object="chat.completion.chunk", model=request["model"], choices=choices, **more
        )
        return f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"

    def delta(delta, finish=None):
        return event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])

    yield delta({"role": "assistant", "content": None if calls else "", "refusal": None})
    if request["model"] == THINKER:
        for piece in pieces("hm, wörds"):
            yield delta({"reasoning_content": piece})
    for piece in pieces(text or ""):
        yield delta({"content": piece})
    for index, call in enumerate(calls):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        begun = {"index": index, "id": call["id"], "type": "function"}
        yield delta({"tool_calls": [{**begun, "function": {"name": name, "arguments": ""}}]})
        for piece in pieces(arguments):
            yield delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield delta({}, finish)
    if (request.get("stream_options") or {}).get("include_usage"):
        yield event([], usage=usage(text))
    yield "data: [DONE]\n\n"


def usage(text):
    completion = len(pieces(text or ""))
    return {"prompt_tokens": 11, "completion_tokens": completion, "total_tokens": 11 + completion}


def embeddings(headers, body):
    """Answers `POST /v1/embeddings`: vectors that tell the place of their text."""
    authorized(headers)
    request = read(headers, body)
    check(EMBEDDING, request)
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    length = request.get("dimensions", 4)
    vectors = [[float(place)] * length for place in range(len(texts))]
    data = [Embedding(embedding=vector, index=at, object="embedding") for at, vector in enumerate(vectors)]
    if request.get("encoding_format") == "base64":
        for one in data:
            one.embedding = base64.b64encode(struct.pack(f"<{length}f", *one.embedding)).decode()
    tokens = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    response = CreateEmbeddingResponse.model_construct(
        data=data, model=request["model"], object="list", usage=tokens
    )
    return response.model_dump_json(warnings=False)


def models(headers, _body):
    """Answers `GET /v1/models`."""
    authorized(headers)
    listed = [Model(id=name, created=1, object="model", owned_by="nobody") for name in ("echo", THINKER)]
    return '{"object":"list","data":[%s]}' % ",".join(model.model_dump_json() for model in listed)


def authorized(headers):
    if headers.get("authorization") != f"Bearer {KEY}":
        raise Refusal("no key, or a wrong one", 401)
