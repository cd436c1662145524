"""The chain side of the ledger: a typed client of the two contracts, their deployment, and an embedded chain.

Plain Python and web3, no Django: nodes and the stand-alone tools read the chain with the same client as the service.
"""
