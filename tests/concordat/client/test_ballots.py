"""The order of an institution's votes is its own to say: a coordinator that lies about nonces voids no revocation."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from compute.node import approvals
from compute.node.seen_votes import SeenVotes
from concordat.client import governance
from concordat.client.ballots import FURTHEST, Ballots, revocation
from concordat.client.follow import once_there
from concordat.client.governance import CheckedDefinition
from concordat.reasons import Reason, Refused
from concordat.votes import VoteDocument
from ledger.models import ChainTransaction
from tests.concordat.client.conftest import World

D, E = "sha256:" + "d" * 64, "sha256:" + "e" * 64


def cast(ballots: Ballots, definition: str, *, approve: bool, hint: int) -> int:
    """Sign, as `governance.vote` does; answers the nonce."""
    nonce = ballots.next_nonce(definition, approve=approve, hint=hint)
    ballots.add({"nonce": nonce, "definition": definition, "approve": approve})
    return nonce


@pytest.fixture
def ballots(tmp_path: Path) -> Ballots:
    return Ballots(tmp_path)


def test_votes_on_other_definitions_set_no_floor(ballots: Ballots, tmp_path: Path) -> None:
    """The contract counts one by one: a vote that it refused must not push all later ones out of its order."""
    assert cast(ballots, D, approve=True, hint=0) == 0
    assert cast(Ballots(tmp_path), E, approve=True, hint=0) == 0
    assert cast(Ballots(tmp_path), E, approve=False, hint=1) == 1
    assert [each["nonce"] for each in ballots.cast] == [0, 0, 1]
    assert (tmp_path / "votes.json").stat().st_mode & 0o777 == 0o600


def test_votes_that_were_cast_with_other_tools_are_skipped_within_reason(ballots: Ballots) -> None:
    assert cast(ballots, D, approve=True, hint=FURTHEST) == FURTHEST
    with pytest.raises(Refused) as caught:
        ballots.next_nonce(E, approve=True, hint=2 * FURTHEST + 2)
    assert caught.value.reason is Reason.VOTE_INVALID


def test_a_vote_that_the_contract_did_not_take_is_cast_again_in_its_place(ballots: Ballots) -> None:
    assert cast(ballots, D, approve=True, hint=0) == 0
    assert cast(ballots, D, approve=True, hint=0) == 0
    assert cast(ballots, D, approve=False, hint=0) == 0  # and of equal nonces the revocation wins


def test_an_approval_after_a_revocation_counts_for_more(ballots: Ballots) -> None:
    assert cast(ballots, D, approve=False, hint=3) == 3
    assert cast(ballots, D, approve=True, hint=0) == 4


def test_a_revocation_never_falls_behind_an_approval_that_the_coordinator_denies(ballots: Ballots) -> None:
    assert cast(ballots, D, approve=True, hint=5) == 5
    assert cast(ballots, D, approve=False, hint=0) == 5  # and of equal nonces the revocation wins


def count(world: World, agreed: CheckedDefinition, ballot: list[VoteDocument], state: Path) -> None:
    """What budapest's node makes of the votes, in any order."""
    home = world.homes["budapest"]
    approvals.check_approved(
        ballot,
        digest=agreed.digest,
        definition=agreed.content,
        owner=agreed.manifest["owner"],
        own="budapest",
        pins=home.pins,
        seen=SeenVotes(state),
    )


def test_a_coordinator_that_gives_out_a_nonce_twice_voids_no_revocation(
    world: World, agreed: CheckedDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, api = world.homes["budapest"], world.api("budapest")
    before = api.votes(agreed.digest)["votes"]
    handed_in: list[Any] = []
    monkeypatch.setattr(api, "votes", lambda digest: {"votes": [], "on_chain": [], "next_nonce": 0})
    monkeypatch.setattr(api, "vote", lambda digest, vote: handed_in.append(vote))
    revoked = governance.vote(home, api, agreed.digest, approve=False)
    assert handed_in == [revoked]
    count(world, agreed, before, tmp_path / "one")
    for number, ballot in enumerate(([*before, revoked], [revoked, *before])):
        with pytest.raises(Refused) as caught:
            count(world, agreed, ballot, tmp_path / f"two-{number}")
        assert caught.value.reason is Reason.DEFINITION_NOT_APPROVED


def test_an_approval_is_awaited_until_a_block_holds_it(world: World, agreed: CheckedDefinition) -> None:
    home, api = world.homes["budapest"], world.api("budapest")
    governance.vote(home, api, agreed.digest, approve=False)
    governance.vote(home, api, agreed.digest, approve=True)
    counts = partial(governance.check_in_block, home, api, agreed.digest)
    with pytest.raises(Refused) as caught:
        once_there(counts, seconds=0)
    assert caught.value.reason is Reason.VOTE_PENDING
    paused: list[float] = []

    def mine(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 3:
            ChainTransaction.objects.update(state="mined")

    once_there(counts, seconds=60, sleep=mine)
    assert len(paused) == 3


def test_a_revocation_is_written_down_for_our_own_node_though_nobody_can_be_reached(
    world: World, agreed: CheckedDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, api = world.homes["budapest"], world.api("budapest")
    file = revocation(home.directory, agreed.digest)
    assert not file.exists()

    def unreachable(digest: str) -> Any:
        raise Refused(Reason.COORDINATOR_UNAVAILABLE)

    with monkeypatch.context() as patched:
        patched.setattr(api, "votes", unreachable)
        with pytest.raises(Refused):
            governance.vote(home, api, agreed.digest, approve=False)
    assert file.exists()
    governance.vote(home, api, agreed.digest, approve=False)
    governance.vote(home, api, agreed.digest, approve=True)
    assert not file.exists()
