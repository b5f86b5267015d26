"""Ollama's side: chat, embeddings and the list of models, by the types of its library."""

import base64
import json

import pydantic
from ollama import ChatResponse, EmbedResponse, ListResponse, Message, Options
from ollama._types import ChatRequest, EmbedRequest
from wire import KEY, SHORT_TOKENS, THINKER, Refusal, echo, pieces, read, take_extensions

# Known to servers of today, though not to the library.
CALL_EXTENSIONS = {"id": (str,)}
MESSAGE_EXTENSIONS = {"tool_call_id": (str,)}
CREATED = "2025-07-07T20:22:19.184789Z"


def chat(headers, body):
    """Answers `POST /api/chat`."""
    authorized(headers)
    request = read(headers, body)
    same(ChatRequest, request, without=("messages", "options", "tools"))
    for message in request["messages"]:
        same_message(message)
    same(Options, request.get("options", {}))
    # Schemas may say more than the library has names for: they only have to fit.
    fits(ChatRequest, request)
    in_turn(request["messages"])
    text, calls, reason = reply(request)
    if request.get("stream", True):
        return lines(request, text, calls, reason)
    return answer(request, message_of(request, text, calls), **end(text, reason))


def same(model, given, without=()):
    """Holds `given` to a type: the library, given the same, writes the same, no field lost and none converted."""
    standard = {name: value for name, value in given.items() if name not in without}
    written = fits(model, standard).model_dump(exclude_none=True, by_alias=True)
    if json.dumps(written, sort_keys=True) != json.dumps(standard, sort_keys=True):
        raise Refusal(f"{model.__name__}: the library makes {written} of {standard}")


def fits(model, given):
    try:
        return model.model_validate(given)
    except pydantic.ValidationError as error:
        raise Refusal(f"{model.__name__}: {error.errors(include_url=False)[:3]}") from error


def same_message(message):
    standard = json.loads(json.dumps(message))
    take_extensions(standard, MESSAGE_EXTENSIONS)
    for call in standard.get("tool_calls", []):
        take_extensions(call, CALL_EXTENSIONS)
    images = standard.pop("images", [])
    same(Message, standard)
    for image in images:
        # The library lets pass what only begins as base64.
        try:
            base64.b64decode(image, validate=True)
        except ValueError as error:
            raise Refusal(f"images: {error}") from error


def in_turn(messages):
    """What no type says: a tool's result names the tool that was called."""
    called = {}
    for message in messages:
        called.update({call["id"]: call["function"]["name"] for call in message.get("tool_calls", [])})
        if message["role"] == "tool" and message.get("tool_name") != called.get(message["tool_call_id"]):
            raise Refusal(f"messages: {message['tool_call_id']} is not of {message.get('tool_name')}")


def reply(request):
    """The text, the tool calls and the reason to stop. A tool is called where one may be and none has answered yet."""
    text = echo(request)
    if "tools" in request and request["messages"][-1]["role"] != "tool":
        function = {"name": request["tools"][0]["function"]["name"], "arguments": {"request": request}}
        return "", [{"function": function}], "stop"
    limit = request.get("options", {}).get("num_predict", SHORT_TOKENS)
    if limit < SHORT_TOKENS:
        return text[:limit], [], "length"
    return text, [], "stop"


def lines(request, text, calls, reason):
    """The lines of a streamed answer."""
    if request["model"] == THINKER:
        for piece in pieces("hm, wörds"):
            yield answer(request, Message(role="assistant", content="", thinking=piece), done=False) + "\n"
    for piece in pieces(text):
        yield answer(request, Message(role="assistant", content=piece), done=False) + "\n"
    if calls:
        yield answer(request, Message(role="assistant", content="", tool_calls=calls), done=False) + "\n"
    yield answer(request, Message(role="assistant", content=""), **end(text, reason)) + "\n"


def message_of(request, text, calls):
    thinking = "hm, wörds" if request["model"] == THINKER else None
    return Message(role="assistant", content=text, thinking=thinking, tool_calls=calls or None)


def end(text, reason):
    counts = {"prompt_eval_count": 11, "eval_count": len(pieces(text))}
    return {"done": True, "done_reason": reason, "total_duration": 4883583458, **counts}


def answer(request, message, **more):
    response = ChatResponse(model=request["model"], created_at=CREATED, message=message, **more)
    return response.model_dump_json(exclude_none=True)


def embed(headers, body):
    """Answers `POST /api/embed`: vectors that tell the place of their text."""
    authorized(headers)
    request = read(headers, body)
    same(EmbedRequest, request)
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    vectors = [[float(place)] * request.get("dimensions", 4) for place in range(len(texts))]
    response = EmbedResponse(model=request["model"], embeddings=vectors, prompt_eval_count=len(texts))
    return response.model_dump_json(exclude_none=True)


def tags(headers, _body):
    """Answers `GET /api/tags`."""
    authorized(headers)
    listed = [ListResponse.Model(model=f"{name}:latest", size=1, digest="d") for name in ("echo", THINKER)]
    return ListResponse(models=listed).model_dump_json(exclude_none=True)


def authorized(headers):
    if headers.get("authorization") != f"Bearer {KEY}":
        raise Refusal("no key, or a wrong one", 401)
