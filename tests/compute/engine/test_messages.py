import pytest

from compute.engine import messages
from concordat import canonical
from concordat.reasons import Refused

REQUESTS = [
    {"function": "additive", "device": "cpu", "args": [[16, 13], [13], "mul"], "kwargs": {}},
    {"function": "additive", "device": "cpu", "args": [[129, 16], [16, 1], "matmul"], "kwargs": {}},
    {"function": "binary", "device": "cpu", "args": [[2, 5], [2, 5]], "kwargs": {}},
    {"function": "square", "device": "cpu", "args": [[128]], "kwargs": {}},
    {"function": "wraps", "device": "cpu", "args": [[11]], "kwargs": {}},
    {"function": "B2A", "device": "cpu", "args": [[]], "kwargs": {}},
    messages.TERMINATE,
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_arrives_as_it_was_sent(request_):
    assert messages.decode_request(messages.encode(request_)) == request_


def test_the_shape_of_an_answer_arrives():
    assert messages.decode_size(messages.encode((129, 16))) == [129, 16]


@pytest.mark.parametrize(
    "document",
    [
        {"function": "__init__", "sizes": [[1]]},
        {"function": "additive", "sizes": [[1], [1]], "op": "save"},
        {"function": "additive", "sizes": [[1], [1]]},
        {"function": "additive", "sizes": [[1]], "op": "mul"},
        {"function": "square", "sizes": [[1], [1]]},
        {"function": "square", "sizes": [[1]], "op": "mul"},
        {"function": "square", "sizes": [[-1]]},
        {"function": "square", "sizes": [[1 << 20, 1 << 20]]},
        {"function": "square", "sizes": [[1]], "kwargs": {}},
        ["terminate"],
        "stop",
    ],
)
def test_nothing_else_reaches_the_dealer(document):
    with pytest.raises(Refused):
        messages.decode_request(canonical.encode(document))


def test_a_pickle_is_no_message():
    with pytest.raises(Refused):
        messages.decode_request(b"\x80\x04]\x94.")
