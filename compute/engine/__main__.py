"""``python -m compute.engine``: see `process`."""

import os

from compute.engine.process import main

# Not sys.exit: after a failed job the interpreter's own end would wait for connections that nobody answers.
os._exit(main())
