"""The shared core of Concordat: what institutions, nodes, the coordinator and a verifier must agree on to the byte.

It installs alone and imports no web framework, task queue or tensor library, so that a hospital's client and a
stand-alone verifier need nothing else.
"""

__version__ = "0.1.0"
