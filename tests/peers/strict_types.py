"""Request types of a vendor's client library, made strict.

The libraries describe requests as TypedDicts for a type checker: made for Python values, and blind to keys they do not
know. Here they are made over for JSON as it comes over the wire: no unknown key anywhere, no conversion of types, every
list read to its end, and none of what only Python has (open files, the library's own objects).
"""

import collections.abc
import os
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
    if origin is typing.Union or origin.__class__.__name__ == "UnionType":
        return typing.Union[tuple(strict(each, within) for each in arguments if is_of_the_wire(each))]
    if is_list(hint, origin):
        return list[strict(arguments[0], within)]
    if origin in (dict, collections.abc.Mapping):
        return dict[str, strict(arguments[1], within)]
    raise TypeError(f"no strict form of {hint!r} in {within}")


def strict_dict(hint, within):
    if hint in within:
        raise TypeError(f"{hint} is a part of itself")
    hints = typing_extensions.get_type_hints(hint)
    fields = {}
    for name, each in hints.items():
        made = strict(each, (*within, hint))
        fields[name] = Required[made] if name in hint.__required_keys__ else NotRequired[made]
    made = TypedDict(hint.__name__, fields)
    made.__pydantic_config__ = CONFIG
    return made


def is_list(hint, origin):
    sequences = (list, collections.abc.Iterable, collections.abc.Sequence)
    return origin in sequences or getattr(origin, "__name__", "") == "SequenceNotStr"


def is_of_the_wire(hint):
    """Whether there is JSON for it: not so for open files, and not meant for objects of answers."""
    origin = typing.get_origin(hint)
    if origin is typing.IO or origin is os.PathLike or hint is os.PathLike or hint is bytes:
        return False
    return not (isinstance(hint, type) and issubclass(hint, pydantic.BaseModel))
