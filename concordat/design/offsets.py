"""Samplers of standard normal directions, from a public seed: what a slope design shifts a record by, before scaling.

Each yields half of a design; the other half is its negation. Uniform integers are the same everywhere; the normal
quantile and the factorisation are floating point, and may differ in a last bit between machines.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from concordat.design import streams
from concordat.design.common import Floats

Sampler = Literal["orthogonal-gaussian", "sobol"]


def orthogonal_gaussian(d: int, half: int, seed: str) -> Floats:
    """(half, d): blocks of d orthogonal directions, each as long as a Gaussian vector; the last block may be cut.

    A Gaussian matrix is QR; Q is uniform (Mezzadri, Notices of the AMS 54, 2007, once the signs are R's) and
    independent of R, and so of the lengths of the matrix's columns, which are those of R's. So Q's columns with these
    lengths are Gaussian vectors each, and orthogonal together (Yu et al., NeurIPS 2016).
    """
    from scipy.special import ndtri  # half a second, which who builds no slopes does not have to wait

    stream = streams.uniform(seed, b"concordat/design/orthogonal-gaussian/v1")
    blocks = []
    for _ in range(-(-half // d)):
        gaussian = ndtri(streams.open_interval(streams.take(stream, d * d))).reshape(d, d)
        rotation, triangle = np.linalg.qr(gaussian)
        signed = rotation * np.sign(np.diag(triangle))
        blocks.append((signed * np.linalg.norm(gaussian, axis=0)).T)
    rows: Floats = np.concatenate(blocks)[:half]
    return rows


def sobol(d: int, half: int, seed: str) -> Floats:
    """(half, d): normal quantiles of a Sobol' net, shifted digit by digit (exclusive or) by the seed's numbers.

    The net is scipy's, with the direction numbers of Joe and Kuo (SIAM J. Sci. Comput. 30, 2008); its 32 binary digits
    are exact. A digital shift keeps it a net (Owen, J. Complexity 14, 1998) and makes each point uniform.

    Raises ValueError unless half is a power of two, which a net has.
    """
    from scipy.special import ndtri
    from scipy.stats.qmc import Sobol

    if half < 1 or half & (half - 1):
        raise ValueError("half of the perturbations are a power of two")
    points = Sobol(d, scramble=False, bits=32).random(half)
    digits = (points * 2.0**32).astype(np.int64)
    shift = streams.take(streams.uniform(seed, b"concordat/design/sobol/v1"), d)
    normal: Floats = ndtri(streams.open_interval(digits ^ shift))
    return normal


SAMPLERS: Mapping[Sampler, Callable[[int, int, str], Floats]] = {
    "orthogonal-gaussian": orthogonal_gaussian,
    "sobol": sobol,
}
