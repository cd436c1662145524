"""What party 0 and the dealer tell each other, as checked JSON.

CrypTen pickles these messages and calls whatever method they name. Here a message is one of five requests for
correlated randomness, with shapes of a bounded size, or it is refused.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Ge, Len
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.fields import STRICT, plain, read
from concordat.reasons import Reason, Refused

TERMINATE = "terminate"
LARGEST = 1 << 26
"""Elements in one tensor of a request: 512 MB of ring elements."""

Size = list[Annotated[int, Ge(0)]]


@with_config(STRICT)
class Request(TypedDict):
    """One tuple of correlated randomness, by CrypTen's name for it, for operands of these shapes."""

    function: Literal["additive", "square", "binary", "wraps", "B2A"]
    sizes: Annotated[list[Size], Len(1, 2)]
    op: NotRequired[Literal["mul", "matmul"]]


def encode(message: Any) -> bytes:
    """The bytes of what CrypTen sends: a request, the shape of an answer, or the word that ends the service."""
    if message == TERMINATE:
        return canonical.encode(TERMINATE)
    if isinstance(message, Sequence):
        return canonical.encode(list(message))
    sizes = [list(argument) for argument in message["args"] if not isinstance(argument, str)]
    operation = [argument for argument in message["args"] if isinstance(argument, str)]
    request = {"function": message["function"], "sizes": sizes}
    return canonical.encode(request | ({"op": operation[0]} if operation else {}))


def decode_request(data: bytes) -> Any:
    """The request behind `data`, in the form that CrypTen's server reads, or `TERMINATE`.

    Raises:
        Refused: the first field that is not as described above, or FIELD_INVALID for tensors that are too large.
    """
    document = canonical.decode(data)
    if document == TERMINATE:
        return TERMINATE
    request = read(document, Request)
    if len(request["sizes"]) != (2 if request["function"] in ("additive", "binary") else 1):
        raise Refused(Reason.FIELD_INVALID, detail="The number of shapes is wrong.", field="sizes")
    if ("op" in request) != (request["function"] == "additive"):
        raise Refused(Reason.FIELD_INVALID, detail="Products name their operation, nothing else does.", field="op")
    if any(math.prod(size) > LARGEST for size in request["sizes"]):
        raise Refused(Reason.FIELD_INVALID, detail="A tensor is too large.", field="sizes")
    operation = [request["op"]] if "op" in request else []
    return {"function": request["function"], "device": "cpu", "args": [*request["sizes"], *operation], "kwargs": {}}


def decode_size(data: bytes) -> list[int]:
    """The shape that an answer will have. Raises Refused."""
    return list(read(plain({"size": canonical.decode(data)}), _Answer)["size"])


@with_config(STRICT)
class _Answer(TypedDict):
    size: Size
