"""A process that ends with the one that started it, however that ends."""

import ctypes
import signal

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Asks the kernel (Linux) to kill this process when its parent dies. Called in the child itself."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
