"""The requester's records key and its escrow: made before the first prediction, used once it has been opened."""

import secrets

from concordat import canonical, escrow
from concordat.client import escrow as ceremonies
from concordat.client import predict
from concordat.client.work import Work
from concordat.escrow import OfficerShare
from concordat.keystore import Keystore
from concordat.package import read_package
from config.demo.consortium import LONG_BEACH
from config.demo.screen import Screen
from config.demo.world import World

OFFICERS, THRESHOLD = ("records-office", "legal-office", "patients-advocate"), 2


def make_escrow(world: World, screen: Screen) -> list[OfficerShare]:
    """Everybody's share, as each would bring it. In life the ceremony is off line, and nobody has all of them."""
    home, folder = world.home(LONG_BEACH), world.folder(LONG_BEACH) / "off-line"
    folder.mkdir(mode=0o700)
    passphrases = {officer: secrets.token_urlsafe(12) for officer in OFFICERS}
    _, files = ceremonies.found(
        home,
        keys=Keystore(folder / "records-key"),
        shares=folder,
        passphrases=passphrases,
        threshold=THRESHOLD,
        offline=home.keys.offline,
    )
    locked = [escrow.read_share(file.read_bytes()) for file in files]
    screen.done(
        f"Long Beach makes a records key and an escrow of {len(OFFICERS)} officers, any {THRESHOLD} of whom open"
    )
    return [escrow.unlock(each, passphrases[each["officer"]]) for each in locked]


def reopen(world: World, screen: Screen, work: Work, shares: list[OfficerShare]) -> None:
    """What the coordinator keeps opens by officers alone, and is what the requester would disclose."""
    kept = {each["stage"]: each["package"] for each in world.api(LONG_BEACH).packages(work.job)}
    opened = ceremonies.open_by_officers(read_package(kept["result"].encode()), shares[:THRESHOLD])
    assert opened == canonical.encode(predict.disclose(work, with_record=True))
    screen.done(f"reopened by {THRESHOLD} officers from what the coordinator keeps and cannot read")
