"""A model server made of three vendors' client libraries; prints its base URL when it answers.

usage: client_types.py [PORT]     without PORT a free one is taken

A request is held to the libraries' own request types. One that fits is answered with what the libraries' own response
types give, streamed or whole as it asks; one that does not is refused with what is wrong with it. The answer's text, or
the arguments of the tool it calls, are the request itself: `{"request": …}`.
"""

import sys

import anthropic_types
import ollama_types
import openai_types
from announcing import serve
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from wire import Refusal


EVENTS = "text/event-stream"
LINES = "application/x-ndjson"


def endpoint(answer, streamed=EVENTS):
    """Has `answer` make of a request's headers and body what is sent back: in one piece, or else `streamed`."""

    async def respond(request):
        try:
            answered = answer(request.headers, await request.body())
        except Refusal as refusal:
            print(f"{request.url.path}: {refusal}", file=sys.stderr, flush=True)
            error = {"type": "invalid_request_error", "message": str(refusal)}
            return JSONResponse({"type": "error", "error": error}, refusal.status)
        if isinstance(answered, str):
            return Response(answered, media_type="application/json")
        return StreamingResponse(answered, media_type=streamed)

    return respond


def models(headers, body):
    """Two of the vendors have their list at the same path."""
    side = anthropic_types if "anthropic-version" in headers else openai_types
    return side.models(headers, body)


ROUTES = [
    Route("/v1/chat/completions", endpoint(openai_types.chat), methods=["POST"]),
    Route("/v1/embeddings", endpoint(openai_types.embeddings), methods=["POST"]),
    Route("/v1/messages", endpoint(anthropic_types.messages), methods=["POST"]),
    Route("/v1/models", endpoint(models)),
    Route("/api/chat", endpoint(ollama_types.chat, LINES), methods=["POST"]),
    Route("/api/embed", endpoint(ollama_types.embed), methods=["POST"]),
    Route("/api/tags", endpoint(ollama_types.tags)),
]

if __name__ == "__main__":
    serve(Starlette(routes=ROUTES), int(sys.argv[1]) if len(sys.argv) > 1 else 0)
