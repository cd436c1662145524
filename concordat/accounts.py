"""Ethereum accounts, without a side effect of their import that would let anybody crash the process.

`eth_account` imports `py_ecc`, which lifts Python's recursion limit to 100 000. From then on some kilobytes of deeply
nested JSON from a stranger overflow the C stack of `json.loads` instead of raising RecursionError. Nothing of ours
recurses deeply, so the interpreter's own limit is put back. Import accounts from here, never from `eth_account`.
"""

import sys

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_account.typed_transactions.typed_transaction import TypedTransaction

__all__ = ["Account", "LocalAccount", "TypedTransaction", "encode_typed_data"]

_CPYTHON_DEFAULT = 1000

sys.setrecursionlimit(min(sys.getrecursionlimit(), _CPYTHON_DEFAULT))
