"""What other engines need for the same work: figures measured once for this project's design, and not here."""

from typing import NamedTuple

from rich.table import Table


class Peer(NamedTuple):
    """MB of all parties together, and rounds as the engine counts them, for each model; the error of the coefficients.
    Empty where there is no figure."""

    engine: str
    trust: str
    lr: str
    mlp: str
    trees: str
    error: str


PEERS = [
    Peer("MP-SPDZ replicated", "3 parties, honest majority", "2.4 / 102", "4.8 / 117", "35 / 183", "1e-5"),
    Peer("SPU ABY3", "3 parties, honest majority", "1.8 / 81", "5.0 / 95", "72 / 110", "2e-4"),
    Peer("SPU SEMI2K", "2 parties, one of them deals", "1.2 / 57", "3.9 / 67", "55 / 71", "2e-4"),
    Peer("CrypTen, batched", "3 parties + dealer", "3.6 / 48 + 138", "37 / 66 + 192", "693 / 65 + 189", "6e-4"),
]


def table() -> Table:
    """The peers for people."""
    shown = Table(
        title="Other engines, not measured here: n = 1000, 30 features, probabilities; MB / rounds",
        caption="Source: measured once with these engines for this project's design. All parties' bytes together,\n"
        "semi-honest, rounds as each engine counts them; CrypTen's with headers, and messages to and from its\n"
        "dealer after the plus.",
    )
    for heading in ("engine", "trust", "LR", "MLP 30-16-1", "trees 50 x depth 3", "error"):
        shown.add_column(heading)
    for peer in PEERS:
        shown.add_row(*peer)
    return shown
