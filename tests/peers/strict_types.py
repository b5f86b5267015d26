"""Request types of a vendor's client library, made strict.

The libraries describe requests as TypedDicts for a type checker: made for Python values, and blind to keys they do not
know. Here they are made over for JSON as it comes over the wire: no unknown key anywhere, no conversion of types, every
list read to its end, and none of what only Python has (open files, the library's own objects).
"""

import collections.abc
import os
import types
import typing

import pydantic
import typing_extensions
from typing_extensions import NotRequired, Required, TypedDict

CONFIG = pydantic.ConfigDict(extra="forbid", strict=True)
SCALARS = (str, int, float, bool, type(None), object)


def adapter(params):
    """Validates JSON against `params`, a TypedDict."""
    return pydantic.TypeAdapter(strict(params))


def strict(hint, within=()):
    """`hint` made over. `within` holds the types it is a part of: none of them may be a part of itself."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if typing_extensions.is_typeddict(hint):
        return strict_dict(hint, within)
    if hint in SCALARS or origin is typing.Literal or origin is typing_extensions.Literal:
        return hint
    if origin is typing.Annotated:
        return strict(arguments[0], within)
    if is_union(origin):
        return typing.Union[tuple(strict(each, within) for each in arguments if is_of_the_wire(each))]
    if is_list(hint, origin):
        return list[strict(arguments[0], within)]
    if origin in (dict, collections.abc.Mapping):
        return dict[str, strict(arguments[1], within)]
    raise TypeError(f"no strict form of {hint!r} in {within}")


def strict_dict(hint, within):
    if hint in within:
        raise TypeError(f"{hint} is a part of itself")
    fields = {}
    for name, each in typing_extensions.get_type_hints(hint, include_extras=True).items():
        # Of annotations that are text, as these are, `__required_keys__` does not see which are marked.
        mark = typing.get_origin(each)
        if mark in (Required, NotRequired):
            each = typing.get_args(each)[0]
        else:
            mark = Required if name in hint.__required_keys__ else NotRequired
        fields[name] = mark[strict(each, (*within, hint))]
    made = TypedDict(hint.__name__, fields)
    made.__pydantic_config__ = CONFIG
    return made


def is_list(hint, origin):
    sequences = (list, collections.abc.Iterable, collections.abc.Sequence)
    return origin in sequences or getattr(origin, "__name__", "") == "SequenceNotStr"


def is_of_the_wire(hint):
    """Whether there is JSON for it: not so for open files, and not meant for objects of answers."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return is_of_the_wire(arguments[0])
    if is_union(origin):
        return any(map(is_of_the_wire, arguments))
    if typing.IO in (hint, origin) or os.PathLike in (hint, origin) or hint is bytes:
        return False
    return not (isinstance(hint, type) and issubclass(hint, pydantic.BaseModel))


def is_union(origin):
    return origin is typing.Union or origin is types.UnionType
