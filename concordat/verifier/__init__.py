"""The stand-alone verifier: rebuild one decision from its dossier, without trusting whoever ran the service.

It needs the bundle and nothing else; with a JSON-RPC address it also asks the chain. `examine` runs the checks,
`report` writes them down for people, `__main__` is the command.
"""

from concordat.verifier.examine import Options, Result, verify

__all__ = ["Options", "Result", "verify"]
