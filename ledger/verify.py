"""python -m ledger.verify BUNDLE [--rpc URL]: the stand-alone verifier under the ledger's name. No Django is loaded."""

import sys

from concordat.verifier.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
