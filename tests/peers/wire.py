"""What all vendors' sides need: a body to read, a text to send in pieces, a refusal."""

import json

import pydantic

KEY = "a-key-of-no-worth"
# The model of this name thinks aloud.
THINKER = "thinker"
# Short enough that characters and words are cut.
PIECE_CHARS = 7
# Below so many tokens an answer ends for its length, one character a token.
SHORT_TOKENS = 8
# The errors of a body that are told: the deepest, which in a union of types are those of the one that was meant.
ERRORS_TOLD = 3


class Refusal(Exception):
    """Why a request is not answered."""

    def __init__(self, reason, status=400):
        super().__init__(reason)
        self.status = status


def read(headers, body):
    """The JSON object of a body."""
    kind = headers.get("content-type", "")
    if kind.split(";")[0] != "application/json":
        raise Refusal(f"content-type: expected application/json, got {kind!r}", 415)
    try:
        read = json.loads(body)
    except ValueError as error:
        raise Refusal(f"no JSON: {error}") from error
    if not isinstance(read, dict):
        raise Refusal("expected an object")
    return read


def check(adapter, body):
    """Holds a body to a type."""
    try:
        adapter.validate_json(json.dumps(body))
    except pydantic.ValidationError as error:
        told = sorted(error.errors(include_url=False), key=lambda one: -len(one["loc"]))[:ERRORS_TOLD]
        raise Refusal("; ".join(f"{place(one['loc'])}: {one['msg']}" for one in told)) from error


def place(steps):
    """Keys and indices without the types between them, which are written with a capital or a bracket."""
    return ".".join(str(step) for step in steps if isinstance(step, int) or step.isidentifier() and step.islower())


def take_extensions(body, extensions):
    """Takes out of `body` what its type does not know and servers of this kind do: `extensions` has their types."""
    for name in extensions.keys() & body.keys():
        if type(body.pop(name)) not in extensions[name]:
            raise Refusal(f"{name}: expected {extensions[name]}")


def pieces(text):
    """`text` in pieces."""
    return [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]


def echo(body):
    """The request as the text of its answer."""
    return json.dumps({"request": body}, ensure_ascii=False)
