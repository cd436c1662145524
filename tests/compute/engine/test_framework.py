"""CrypTen's tensors on this engine's mesh, between threads with real connections."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import combinations

import numpy as np
import pytest

from compute.engine.arithmetic import Party
from compute.engine.dealing import Dealt, Rehearsal, deal
from compute.engine.framework import MPCTensor, Provider, cfg, crypten, on_crypten
from compute.engine.protocol import rehearse
from compute.engine.streams import Stream, new_key
from concordat import ring
from concordat.reasons import Reason, Refused
from tests.compute.engine.test_wires import mesh
from tests.support.parties import shares


def run(program, values, parties=3):
    """What the program's result opens to; it is given a tensor of `values`."""
    wires = mesh(parties)
    secret = shares(ring.encode(values), parties)
    keys = [new_key() for _ in range(parties)]
    secrets = {frozenset(pair): new_key() for pair in combinations(range(parties), 2)}

    def one(rank):
        others = [other for other in range(parties) if other != rank]

        def mine():
            return program(MPCTensor.from_shares(secret[rank], precision=16)).share

        def supply(start):
            rehearsal = Rehearsal()
            rehearse(start(Party(rank, rehearsal)))
            corrections = b"".join(deal(rehearsal.plan, keys))
            read = BytesIO(corrections).read if rank == 0 else None
            pairs = {other: Stream(secrets[frozenset((rank, other))]) for other in others}
            return Party(rank, Dealt(rehearsal.plan, keys[rank], read), pairs)

        return on_crypten(
            mine, supply=supply, parties=parties, exchange=lambda data: wires[rank].exchange(others, data)
        )

    with ThreadPoolExecutor(parties) as pool:
        results = list(pool.map(one, range(parties)))
    return ring.decode(ring.combine([result.numpy() for result in results]))


X = np.array([[-2.5, -0.25, 0.0], [0.5, 1.75, 30.0]])


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (lambda x: x * x, X * X),
        (lambda x: x.matmul(x.t()), X @ X.T),
        (lambda x: x.square() + 1, X**2 + 1),
        (lambda x: x.relu(), np.maximum(X, 0)),
        (lambda x: x.clone().relu() * x, np.maximum(X, 0) * X),
    ],
)
def test_crypten_computes_on_the_mesh(program, expected, parties):
    assert run(program, X, parties) == pytest.approx(expected, abs=1e-3)


def test_crypten_has_no_other_provider_whatever_its_configuration_says():
    assert isinstance(crypten.mpc.get_default_provider(), Provider)
    for name in ("TFP", "TTP", "HE"):
        cfg.mpc.provider = name
        try:
            with pytest.raises(KeyError):
                crypten.mpc.get_default_provider()
        finally:
            cfg.mpc.provider = Provider.NAME


def test_crypten_cannot_draw_a_mask_of_its_own():
    from crypten.mpc.primitives import arithmetic, binary

    generators = (
        arithmetic.generate_random_ring_element,
        binary.generate_kbit_random_tensor,
        crypten.common.rng.generate_random_ring_element,
        crypten.common.rng.generate_kbit_random_tensor,
    )
    for generator in generators:
        with pytest.raises(Refused) as caught:
            generator((2,))
        assert caught.value.reason is Reason.PROVIDER_UNSAFE


@pytest.mark.parametrize("name", ["generate_binary_triple", "wrap_rng", "B2A_rng"])
def test_what_would_need_cryptens_own_protocols_is_refused(name):
    with pytest.raises(Refused) as caught:
        getattr(Provider(), name)((2,), (2,))
    assert caught.value.reason is Reason.PROVIDER_UNSAFE
