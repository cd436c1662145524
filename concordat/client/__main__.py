"""`python -m concordat.client`."""

from concordat.client.cli import main

main(prog_name="concordat")
