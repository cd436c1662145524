"""A client that follows the log: one history, and how many witnesses saw the same."""

from pathlib import Path
from typing import Any

import pytest

from concordat import canonical, clock, cosignature, merkle
from concordat.canonical import b64
from concordat.checkpoint import Checkpoint
from concordat.client.home import ClientHome
from concordat.client.log import Followed, follow
from concordat.enrolment import Role, build_enrolment
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey
from tests.support.history import History

ORIGIN, KEY = "localhost/concordat", SigningKey.generate()
ROLES: dict[str, list[Role]] = {
    "budapest": ["party"],
    "cleveland": ["owner", "party"],
    "long-beach": ["requester"],
    "notary": ["dealer"],
    "zurich": ["party"],
}
NODES = ("budapest", "cleveland", "notary", "zurich")
LOG = History([b"%d" % number for number in range(20)], key=KEY, origin=ORIGIN)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Keystore]:
    folder = tmp_path_factory.mktemp("keys")
    return {slug: Keystore(folder / slug / "keys").create() for slug in ROLES}


@pytest.fixture
def home(keys: dict[str, Keystore]) -> ClientHome:
    """Long Beach's folder, which has followed nothing yet."""
    folder = Path(keys["long-beach"].directory).parent
    (folder / "checkpoint.txt").unlink(missing_ok=True)
    home = ClientHome.create(folder, {"institution": "long-beach", "coordinator": "https://c.example"})
    enrolments = {
        slug: build_enrolment(
            each, institution=slug, name=slug, jurisdiction="CH", roles=ROLES[slug], issued=clock.now()
        )
        for slug, each in keys.items()
    }
    pins = {
        "coordinator_key": KEY.public.b64,
        "log_origin": ORIGIN,
        "enrolments": enrolments,
        "chain_id": 31338,
        "registry": "0x52908400098527886E0F7030069857D2E4169EE7",
    }
    home.pin(canonical.encode(pins))
    return home


class Told:
    """What the coordinator says: a head of the log, with some lines under it."""

    def __init__(self, size: int, lines: str = "", log: History = LOG) -> None:
        self.size, self.lines, self.log = size, lines, log

    def checkpoint(self) -> str:
        return self.log.note(self.size) + self.lines

    def consistency(self, first: int, second: int) -> list[str]:
        return [b64(each) for each in merkle.consistency_proof(first, second, self.log.subtree)]


def followed(home: ClientHome, told: Told) -> Followed:
    api: Any = told
    return follow(home, api)


def lines(keys: dict[str, Keystore], size: int, *slugs: str) -> str:
    head = Checkpoint(ORIGIN, size, LOG.subtree(0, size))
    return "".join(
        cosignature.cosign(head.body, keys[slug].identity, cosignature.name_of(ORIGIN, slug), clock.now())
        for slug in slugs
    )


def refusal(reason: Reason) -> Any:
    return pytest.raises(Refused, match=f"^{reason}:")


@pytest.mark.parametrize(
    ("slugs", "cosigned", "enough"),
    [
        ([], (), False),
        (["zurich", "notary"], ("notary", "zurich"), False),
        (["zurich", "notary", "budapest"], ("budapest", "notary", "zurich"), True),
        (["long-beach"], (), False),  # has no node
    ],
)
def test_it_says_which_of_the_pinned_witnesses_cosigned(
    home: ClientHome, keys: dict[str, Keystore], slugs: list[str], cosigned: tuple[str, ...], enough: bool
) -> None:
    found = followed(home, Told(9, lines(keys, 9, *slugs)))
    assert (found.head.size, found.witnessed.of) == (9, NODES)
    assert (found.witnessed.cosigned, found.witnessed.enough) == (cosigned, enough)


def test_a_line_that_only_claims_to_be_a_witness_s_is_refused_and_nothing_is_kept(
    home: ClientHome, keys: dict[str, Keystore]
) -> None:
    followed(home, Told(5))
    with refusal(Reason.COSIGNATURE_INVALID):
        followed(home, Told(9, lines(keys, 8, "zurich")))
    assert (home.directory / "checkpoint.txt").read_text() == LOG.note(5)


def test_too_few_are_refused_where_the_institution_asks_for_enough(home: ClientHome, keys: dict[str, Keystore]) -> None:
    strict = ClientHome.create(home.directory, {**home.config, "witnessed": True})
    with refusal(Reason.WITNESSES_TOO_FEW):
        followed(strict, Told(9, lines(keys, 9, "zurich", "notary")))
    assert followed(strict, Told(9, lines(keys, 9, "zurich", "notary", "budapest"))).witnessed.enough
    with refusal(Reason.WITNESSES_TOO_FEW):  # what was cosigned before says nothing of what has come since
        followed(strict, Told(12))


def test_a_log_that_lags_behind_is_not_said_to_be_rewritten(home: ClientHome) -> None:
    followed(home, Told(9))
    with refusal(Reason.CHECKPOINT_OLDER):
        followed(home, Told(8))
    forked = History([b"x"] * 20, key=KEY, origin=ORIGIN)
    for size in (9, 12):
        with refusal(Reason.CONSISTENCY_INVALID):
            followed(home, Told(size, log=forked))
    assert followed(home, Told(20)).head.size == 20
