"""Command line of the embedded chain."""

import argparse
import signal
import sqlite3
import sys
import threading
from pathlib import Path

from ledger.chain.devchain.chain import EmbeddedChain
from ledger.chain.devchain.genesis import GenesisMismatch, open_genesis
from ledger.chain.devchain.rpc import Rpc
from ledger.chain.devchain.server import Server
from ledger.chain.devchain.store import SqliteStore

DEFAULT_CHAIN_ID = 31338


def main() -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ledger.chain.devchain", description="An embedded EVM chain on loopback, kept in a directory."
    )
    parser.add_argument("--state", type=Path, required=True, help="directory of the chain, created if missing")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="file to which the port is written once it answers")
    parser.add_argument("--chain-id", type=int, default=DEFAULT_CHAIN_ID)
    parser.add_argument("--fund", action="append", default=[], metavar="ADDRESS", help="own ether in block 0")
    options = parser.parse_args()

    options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        genesis = open_genesis(options.state / "genesis.json", chain_id=options.chain_id, fund=options.fund)
        store = SqliteStore(options.state / "chain.sqlite3")
    except (GenesisMismatch, ValueError) as error:
        parser.exit(1, f"{error}\n")
    except sqlite3.OperationalError as error:
        parser.exit(1, f"{options.state} cannot be opened; is another chain running on it? ({error})\n")
    server = Server(Rpc(EmbeddedChain(store, genesis)), options.port)

    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()  # shutdown() waits for the loop that this signal interrupts

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if options.port_file:
        draft = options.port_file.with_suffix(".new")
        draft.write_text(f"{server.server_port}\n", encoding="utf-8")
        draft.replace(options.port_file)
    server.serve_forever()
    server.server_close()
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
