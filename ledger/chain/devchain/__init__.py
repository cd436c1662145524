"""The embedded chain: an EVM in Python (py-evm) on SQLite behind JSON-RPC, on loopback only.

    python -m ledger.chain.devchain --state DIR --port 0 --port-file FILE --fund 0x…

One process, one block a transaction, every write one SQLite transaction, so a SIGKILL at any moment loses nothing that
was answered. It gives the format and the workflow of a chain, not independent trust: whoever runs it can rewrite it.
Anchors on it are labelled *self-hosted*, as configured by the operator.
"""

CLIENT_NAME = "concordat-devchain"
"""Begins what `web3_clientVersion` answers."""
