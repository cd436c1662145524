"""The chain side of the ledger: a typed client of the two contracts, their deployment, and an embedded chain.

Plain Python and web3, no Django. It sends and reads for the service; nodes and the stand-alone verifier ask a chain
themselves, in a few lines of JSON-RPC, so that they need not trust this one.
"""
