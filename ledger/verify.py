"""python -m ledger.verify BUNDLE [--rpc URL]: verify a dossier. It is `concordat.verifier`; no Django is loaded."""

import sys

from concordat.verifier.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
