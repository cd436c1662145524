"""`python -m compute.node`."""

from compute.node.cli import main

main()
