"""Anthropic's side: messages and the list of models, by the types of its library."""

import json

from anthropic.types import (
    Message,
    ModelInfo,
    RawContentBlockDeltaEvent,
    RawContentBlockStartEvent,
    RawContentBlockStopEvent,
    RawMessageDeltaEvent,
    RawMessageStartEvent,
    RawMessageStopEvent,
)
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from strict_types import adapter
from wire import KEY, SHORT_TOKENS, THINKER, Refusal, check, echo, pieces, read, take_extensions

WHOLE = adapter(MessageCreateParamsNonStreaming)
STREAMED = adapter(MessageCreateParamsStreaming)
# The library's types are those of the second version. What that took away the first one still has.
FIRST_VERSION, SECOND_VERSION = "2023-06-01", "2026-10-21"
FIRST_VERSIONS_OWN = {"temperature": (int, float), "top_p": (int, float), "top_k": (int,)}
TEMPERATURE_MAX = 1


def messages(headers, body):
    """Answers `POST /v1/messages`."""
    version = authorized(headers)
    request = read(headers, body)
    standard = dict(request)
    if version == FIRST_VERSION:
        if request.get("temperature", 0) > TEMPERATURE_MAX:
            raise Refusal(f"temperature: at most {TEMPERATURE_MAX}")
        take_extensions(standard, FIRST_VERSIONS_OWN)
    check(STREAMED if request.get("stream") else WHOLE, standard)
    in_turn(request["messages"])
    blocks, stop = reply(request)
    if request.get("stream"):
        return events(request, blocks, stop)
    return message(request, blocks, stop).model_dump_json(exclude_unset=True)


def in_turn(turns):
    """What no type says: the results of tools follow the calls, each call has its result."""
    open_calls = set()
    for turn in turns:
        blocks = turn["content"] if isinstance(turn["content"], list) else []
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if results != open_calls:
            raise Refusal(f"messages: the calls {sorted(open_calls)} and the results {sorted(results)} differ")
        open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
    if open_calls:
        raise Refusal(f"messages: no result for {sorted(open_calls)}")


def reply(request):
    """The blocks of the answer and the reason to stop. A tool is called where one may be and none has answered yet."""
    text = echo(request)
    blocks = []
    if request["model"] == THINKER:
        blocks.append({"type": "thinking", "thinking": "hm, wörds", "signature": "c2lnbmVk"})
    choice = request.get("tool_choice", {"type": "auto"})
    if "tools" in request and choice["type"] != "none" and not has_result(request["messages"][-1]):
        name = choice.get("name", request["tools"][0]["name"])
        blocks.append({"type": "tool_use", "id": "toolu_1", "name": name, "input": {"request": request}})
        return blocks, "tool_use"
    if request["max_tokens"] < SHORT_TOKENS:
        blocks.append({"type": "text", "text": text[: request["max_tokens"]], "citations": None})
        return blocks, "max_tokens"
    blocks.append({"type": "text", "text": text, "citations": None})
    return blocks, "end_turn"


def has_result(turn):
    return any(block["type"] == "tool_result" for block in turn["content"] if isinstance(block, dict))


def message(request, blocks, stop):
    usage = {"input_tokens": 11, "output_tokens": 1 if stop is None else 7}
    return Message(
        id="msg_1",
        type="message",
        role="assistant",
        model=request["model"],
        content=blocks,
        stop_reason=stop,
        stop_sequence=None,
        usage=usage,
    )


def events(request, blocks, stop):
    """The events of a streamed answer."""

    def event(made):
        return f"event: {made.type}\ndata: {made.model_dump_json(exclude_unset=True)}\n\n"

    yield event(RawMessageStartEvent(type="message_start", message=message(request, [], None)))
    # Not of the library: it passes over it unseen.
    yield 'event: ping\ndata: {"type": "ping"}\n\n'
    for index, block in enumerate(blocks):
        begun, deltas = in_deltas(block)
        yield event(RawContentBlockStartEvent(type="content_block_start", index=index, content_block=begun))
        for delta in deltas:
            yield event(RawContentBlockDeltaEvent(type="content_block_delta", index=index, delta=delta))
        yield event(RawContentBlockStopEvent(type="content_block_stop", index=index))
    end = {"stop_reason": stop, "stop_sequence": None}
    yield event(RawMessageDeltaEvent(type="message_delta", delta=end, usage={"output_tokens": 7}))
    yield event(RawMessageStopEvent(type="message_stop"))


def in_deltas(block):
    """A block as it begins, and what it becomes whole by."""
    match block["type"]:
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {**block, "thinking": "", "signature": ""}, deltas
        case "tool_use":
            arguments = json.dumps(block["input"], ensure_ascii=False)
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces(arguments)]]
            return {**block, "input": {}}, deltas
        case _:
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            return {**block, "text": ""}, deltas


def models(headers, _body):
    """Answers `GET /v1/models`."""
    authorized(headers)
    made = {"created_at": "2026-01-01T00:00:00Z", "lifecycle": "active", "type": "model"}
    listed = [ModelInfo(id=name, display_name=name.title(), **made) for name in ("echo", THINKER)]
    data = ",".join(model.model_dump_json() for model in listed)
    return '{"data":[%s],"has_more":false,"first_id":"echo","last_id":"%s"}' % (data, THINKER)


def authorized(headers):
    """The version that is asked for, where the key is right."""
    version = headers.get("anthropic-version")
    if version not in (FIRST_VERSION, SECOND_VERSION):
        raise Refusal(f"anthropic-version: not {version}")
    if headers.get("x-api-key") != KEY and headers.get("authorization") != f"Bearer {KEY}":
        raise Refusal("no key, or a wrong one", 401)
    return version
