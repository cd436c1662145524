"""A consortium moves to another anchor log, and changes its members, by its members' votes alone.

On anvil, since each test makes contracts, and the embedded chain takes seconds for that. On the embedded chain
`tests/ledger/contracts` and `tests/ledger/chain` show what the contracts do.
"""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from eth_utils.crypto import keccak

from concordat import canonical
from concordat.client import consortium
from concordat.client.cli import main as concordat
from concordat.client.home import ClientHome
from concordat.creation import SOURCES
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.resolution import MembershipChange, examine
from concordat.rpc import Rpc, number_word
from concordat.verifier import Options, verify
from concordat.verifier.examine import Status
from config.demo.waiting import until
from ledger import dossier, selectors, tasks
from ledger.chain import resolve
from ledger.chain.client import ChainClient
from ledger.chain.deploy import Deployment, deploy, deploy_successor
from ledger.chain.signers import LocalSigner
from ledger.contracts import CONTRACTS, artefact
from ledger.fsck import fsck
from ledger.models import Anchor, LogEntry
from ledger.services import anchoring
from ledger.services.publish import publish
from tests.support.anvil import anvil
from tests.support.consortium import NODES, new_uuid
from tests.support.forged_contract import forged
from tests.support.pages import Told
from tests.support.shell import typed

pytestmark = [pytest.mark.full, pytest.mark.django_db, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def devchain(_state: Path) -> Iterator[str]:
    with anvil(fund=Keystore(_state / "keys").chain.address) as chain:
        yield chain.url


@dataclass(frozen=True)
class Done:
    """A command that was run."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Moving:
    """Four members of five, whose decision is under two anchors, and the log that is to succeed."""

    decision: object
    folders: dict[str, Path]
    rpc: str
    old: Deployment
    new: str
    made: str
    keys: Path

    def vote(self, slug: str, *options: str) -> tuple[Result, Path]:
        file = self.keys.parent / f"{slug}-{new_uuid()}.json"
        command = ["--home", str(self.folders[slug]), "--output", "json", "consortium", "vote", "--vote", str(file)]
        return CliRunner().invoke(concordat, [*command, "--rpc", self.rpc, *options]), file

    def show(self, slug: str, *options: str) -> dict:
        command = ["--home", str(self.folders[slug]), "--output", "json", "consortium", "show", "--rpc", self.rpc]
        return json.loads(CliRunner().invoke(concordat, [*command, *options]).stdout)

    def resolve(self, *arguments: str) -> "Done":
        chain = ["--rpc", self.rpc, "--chain-id", "31338", "--registry", self.old.registry_address]
        chain += ["--log", self.old.anchor_address, "--keys", str(self.keys)]
        said, complained = io.StringIO(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(complained):
            try:
                status = resolve.main([*chain, *arguments])
            except SystemExit as ended:
                status = int(ended.code or 0)
        return Done(status, said.getvalue(), complained.getvalue())

    def succeed(self) -> None:
        files = [str(self.vote(slug, "--successor", self.made)[1]) for slug in NODES[:3]]
        assert self.resolve("relay", *files).returncode == 0
        assert self.resolve("seal", "--successor", self.new).returncode == 0


@pytest.fixture
def moving(anchored, settings, devchain) -> Moving:
    folders = {}
    for slug in NODES:
        home = anchored.consortium.homes[slug]
        home.pin(canonical.encode(anchored.consortium.pins(registry=settings.REGISTRY_ADDRESS)))
        ClientHome.create(home.directory, {"institution": slug, "coordinator": "http://127.0.0.1:1"})
        folders[slug] = home.directory
    account = Keystore(settings.KEYS_DIR).chain
    successor = deploy_successor(
        rpc_url=devchain,
        chain_id=31338,
        deployer=account,
        submitters=[account.address],
        registry=settings.REGISTRY_ADDRESS,
        predecessor=settings.ANCHOR_ADDRESS,
    )
    old = Deployment(31338, settings.ANCHOR_ADDRESS, settings.REGISTRY_ADDRESS, 0)
    made = successor.anchor_transaction
    return Moving(anchored, folders, devchain, old, successor.anchor_address, made, Path(settings.KEYS_DIR))


def noted() -> list[dict]:
    return [entry.public for entry in LogEntry.objects.filter(event=Event.ANCHOR_LOG_SUCCEEDED)]


def checks(result) -> dict[str, Status]:
    return {each.name: each.status for each in result.checks if each.name.startswith("chain")}


def known(data: bytes, moving: Moving, log: str) -> Reason | None:
    """Why the log that the reader knows is not that of a dossier."""
    result = verify(data, Options(rpc=moving.rpc, anchor_log=log))
    return next(each.reason for each in result.checks if each.name == "anchor log")


class TestASuccession:
    def test_is_shown_as_it_stands_on_the_chain(self, moving):
        shown = moving.show("zurich", "--successor", moving.made)
        assert shown["facts"]["seals"] == moving.old.anchor_address
        assert shown["facts"]["its latest anchor"] == str(Anchor.objects.count())
        assert shown["facts"]["continues with"] == moving.new
        assert shown["facts"]["who may anchor"] == Keystore(moving.keys).chain.address
        assert (shown["quorum"], sum(shown["approvals"].values()), shown["carried"]) == (3, 0, False)

    def test_goes_on_from_the_old_log_s_head_and_every_check_still_passes(self, moving, settings, write):
        before = Anchor.objects.count()
        moving.succeed()
        settings.ANCHOR_ADDRESS = moving.new
        for _ in range(2):
            write(3)
            publish()
            tasks.anchor()
        assert anchoring.chain_client().head().sequence == Anchor.objects.count() == before + 2
        assert selectors.outbox().waiting == 0
        found = fsck(chain=anchoring.chain_client())
        assert (found.divergence, found.anchors) == (None, before + 2)
        result = verify(dossier.build(moving.decision.index), Options(rpc=moving.rpc))
        assert checks(result) == dict.fromkeys(("chain anchor", "chain approvals"), Status.PASSED)

    def test_is_noted_in_the_log_once(self, moving, settings, write):
        sequence = Anchor.objects.count()
        moving.succeed()
        settings.ANCHOR_ADDRESS = moving.new
        for _ in range(2):
            write()
            publish()
            tasks.anchor()
        named = {"log": moving.new, "predecessor": moving.old.anchor_address, "registry": moving.old.registry_address}
        assert noted() == [{"chain": 31338, "sequence": sequence, **named}]

    def test_leaves_bundles_of_before_as_good_as_they_were(self, moving):
        data = dossier.build(moving.decision.index)
        moving.succeed()
        assert set(checks(verify(data, Options(rpc=moving.rpc))).values()) == {Status.PASSED}

    def test_is_followed_from_the_log_that_a_reader_knows_whichever_it_is(self, moving, settings):
        before = dossier.build(moving.decision.index)
        moving.succeed()
        settings.ANCHOR_ADDRESS = moving.new
        after = dossier.build(moving.decision.index)
        for data in (before, after):
            for log in (moving.old.anchor_address, moving.new):
                assert known(data, moving, log) is None

    def test_that_was_not_voted_on_leads_to_no_log_that_a_reader_knows(self, moving, settings):
        assert known(dossier.build(moving.decision.index), moving, moving.new) is Reason.ANCHOR_LOG_OTHER
        settings.ANCHOR_ADDRESS = moving.new  # it says itself which log it continues; that one knows nothing of it
        data = dossier.build(moving.decision.index)
        assert known(data, moving, moving.old.anchor_address) is Reason.ANCHOR_LOG_OTHER

    def test_to_a_log_that_the_old_one_was_not_sealed_to_is_noticed(self, moving, settings):
        settings.ANCHOR_ADDRESS = moving.new  # a bundle names it; it has not begun
        result = verify(dossier.build(moving.decision.index), Options(rpc=moving.rpc))
        assert checks(result)["chain anchor"] is Status.FAILED

    def test_is_finished_by_the_same_command_after_it_was_cut_off(self, moving, monkeypatch):
        files = [moving.vote(slug, "--successor", moving.made)[1] for slug in NODES[:3]]
        key = LocalSigner(Keystore(moving.keys).chain)
        old, new = (
            ChainClient(moving.rpc, 31338, log, moving.old.registry_address)
            for log in (moving.old.anchor_address, moving.new)
        )
        assert [resolve.relay(old, key, canonical.decode(file.read_bytes())) for file in files * 2] == [
            *[True] * 3,
            *[False] * 3,
        ]
        with monkeypatch.context() as patch:
            patch.setattr(ChainClient, "build_begin", _killed)
            with pytest.raises(KeyboardInterrupt):
                resolve.seal(old, new, key)
        assert (old.succession().sealed_to, new.succession().begun) == (moving.new, False)
        for _ in range(2):
            resolve.seal(old, new, key)
        assert new.succession().begun


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.full  # many blocks
class TestBetweenTwoLogs:
    def test_what_is_to_be_anchored_waits_and_says_which_address_to_configure(self, moving, settings, write):
        moving.succeed()
        write()
        publish()
        with pytest.raises(Refused, match=f"{Reason.ANCHOR_LOG_CLOSED}.*successor, {moving.new}"):
            anchoring.send()
        assert selectors.outbox().reason == Reason.ANCHOR_LOG_CLOSED
        settings.ANCHOR_ADDRESS = moving.new
        tasks.anchor()
        assert selectors.outbox().waiting == 0

    def test_a_log_that_has_not_begun_takes_nothing(self, moving, settings, write):
        settings.ANCHOR_ADDRESS = moving.new
        write()
        publish()
        with pytest.raises(Refused, match=f"{Reason.ANCHOR_LOG_CLOSED}.*predecessor, {moving.old.anchor_address}"):
            anchoring.send()
        assert not noted()

    def test_an_anchor_that_was_sent_to_the_old_log_goes_to_the_new_one(self, moving, settings, write, monkeypatch):
        write()
        publish()
        with monkeypatch.context() as patch:
            patch.setattr(ChainClient, "broadcast", lambda *_: None)
            anchoring.send()
        account = Anchor.objects.last().transaction.account.address
        moving.succeed()  # by the same account, whose nonce they take
        assert anchoring.chain_client().transaction_nonce(account) > Anchor.objects.last().transaction.nonce
        settings.ANCHOR_ADDRESS = moving.new
        for _ in range(3):
            tasks.anchor()
        assert Anchor.objects.last().transaction.state == "final"
        assert anchoring.chain_client().head().sequence == Anchor.objects.count()


@pytest.mark.full  # many blocks
class TestAMembersVote:
    @pytest.mark.parametrize("case", ["no contract", "no successor", "another registry's", "sealed already", "unknown"])
    def test_is_not_signed_for_a_successor_that_is_none(self, moving, case):
        key = Keystore(moving.keys).chain
        old, registry = moving.old.anchor_address, moving.old.registry_address
        if case == "no contract":
            transaction = Anchor.objects.first().transaction.hash
        elif case == "no successor":
            transaction = self._founded(moving).anchor_transaction
        elif case == "another registry's":
            transaction = self._after(moving, old, self._founded(moving).registry_address)
        elif case == "sealed already":
            moving.succeed()
            transaction = self._after(moving, old, registry)
        else:
            transaction = "0x" + "ab" * 32
        result, file = moving.vote("zurich", "--successor", transaction)
        assert json.loads(result.stderr)["error"]["field"] in ("successor", "transaction")
        assert not file.exists()
        assert key.address not in result.stdout

    @pytest.mark.parametrize("rights", ["a submitter of its own", "a history of its own"])
    def test_is_not_signed_for_the_genuine_code_in_a_forged_state(self, moving, rights):
        key, old = Keystore(moving.keys).chain, int(moving.old.anchor_address, 16)
        state = {"predecessor": old, "registry": int(moving.old.registry_address, 16)}
        if rights == "a submitter of its own":
            code = forged("AnchorLog", state, {("submitter", key.address): 1})
        else:
            code = forged("AnchorLog", state | {"begun": 1, "sequence": 7})
        client = ChainClient(moving.rpc, 31338, moving.old.anchor_address, moving.old.registry_address)
        sent = LocalSigner(key).sign(
            {
                "data": code,
                "value": 0,
                "gas": 5_000_000,
                "maxFeePerGas": 10**10,
                "maxPriorityFeePerGas": 10**9,
                "nonce": client.transaction_nonce(key.address),
                "chainId": 31338,
            }
        )
        client.broadcast(sent)
        until(lambda: client.receipt(sent.hash), seconds=30)
        assert client.receipt(sent.hash).succeeded
        result, file = moving.vote("zurich", "--successor", sent.hash)
        assert "did not create a contract of this version" in json.loads(result.stderr)["error"]["detail"]
        assert not file.exists()

    @staticmethod
    def _founded(moving: Moving) -> Deployment:
        key = Keystore(moving.keys).chain
        return deploy(
            rpc_url=moving.rpc,
            chain_id=31338,
            deployer=key,
            submitters=[key.address],
            institutions=[key.address],
            quorum=1,
        )

    @staticmethod
    def _after(moving: Moving, predecessor: str, registry: str) -> str:
        key = Keystore(moving.keys).chain
        return deploy_successor(
            rpc_url=moving.rpc,
            chain_id=31338,
            deployer=key,
            submitters=[key.address],
            registry=registry,
            predecessor=predecessor,
        ).anchor_transaction

    def test_is_on_what_was_looked_at(self, moving, monkeypatch):
        """A change that is carried out meanwhile makes another proposal of it."""
        home = ClientHome(moving.folders["zurich"])
        looked_at = consortium.propose(home, moving.rpc, MembershipChange("", "", 2))
        files = [str(moving.vote(slug, "--quorum", "4")[1]) for slug in NODES[:3]]
        moving.resolve("relay", *files)
        moving.resolve("enact", "--quorum", "4")
        signed = consortium.vote(home, moving.rpc, looked_at, approve=True)
        assert signed["definition"] == looked_at.digest
        assert signed["definition"] != consortium.propose(home, moving.rpc, MembershipChange("", "", 2)).digest

    def test_follows_those_that_are_not_relayed_yet(self, moving):
        files = [moving.vote("zurich", "--quorum", str(quorum))[1] for quorum in (1, 2, 4)]
        nonces = [canonical.decode(file.read_bytes())["nonce"] for file in files]
        assert nonces == list(range(nonces[0], nonces[0] + 3))
        done = moving.resolve("relay", *map(str, reversed(files)))
        assert done.returncode == 0, done.stderr

    def test_does_not_keep_the_institution_from_voting_on_definitions(self, moving):
        """It used up a nonce that the coordinator never saw."""
        address = moving.decision.consortium.homes["zurich"].keys.chain.address
        before = anchoring.registry_nonce(address)
        moving.resolve("relay", str(moving.vote("zurich", "--quorum", "2")[1]))
        assert anchoring.registry_nonce(address) == before + 1

    def test_can_be_taken_back(self, moving):
        files = [moving.vote("zurich", "--successor", moving.made)[1]]
        assert moving.resolve("relay", *map(str, files)).returncode == 0
        assert sum(moving.show("zurich", "--successor", moving.made)["approvals"].values()) == 1
        files = [moving.vote("zurich", "--successor", moving.made, "--against")[1]]
        assert moving.resolve("relay", *map(str, files)).returncode == 0
        assert sum(moving.show("zurich", "--successor", moving.made)["approvals"].values()) == 0

    def test_counts_for_nothing_short_of_the_quorum(self, moving):
        files = [str(moving.vote(slug, "--successor", moving.made)[1]) for slug in NODES[:2]]
        moving.resolve("relay", *files)
        done = moving.resolve("seal", "--successor", moving.new)
        assert done.returncode == 1
        assert "quorum missing" in done.stderr

    def test_that_somebody_altered_is_not_relayed(self, moving):
        _, file = moving.vote("zurich", "--successor", moving.made, "--against")
        document = canonical.decode(file.read_bytes())
        file.write_bytes(canonical.encode(document | {"approve": True}))
        done = moving.resolve("relay", str(file))
        assert done.returncode == 1
        assert Reason.VOTE_INVALID in done.stderr


class TestAMembershipChange:
    def test_replaces_an_institution_s_chain_key(self, moving):
        members = moving.decision.consortium.homes
        leaving = members["zurich"].keys.chain.address
        joining = Keystore(moving.keys.parent / new_uuid()).create(["chain"]).chain.address
        named = ("--joining", joining, "--leaving", leaving, "--quorum", "3")
        assert moving.show("budapest", *named)["facts"]["leaves"] == leaving
        files = [str(moving.vote(slug, *named)[1]) for slug in ("cleveland", "budapest", "notary")]
        assert moving.resolve("relay", *files).returncode == 0
        assert moving.resolve("enact", *named).returncode == 0
        approvals = moving.show("budapest", "--quorum", "2")["approvals"]
        assert joining in approvals
        assert leaving not in approvals

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            (("--leaving", "outsider", "--quorum", "2"), "leaving"),
            (("--joining", "member", "--quorum", "2"), "joining"),
            (("--quorum", "6"), "quorum"),
            (("--quorum", "0"), "quorum"),
        ],
    )
    def test_that_the_registry_would_refuse_is_refused_before_anybody_signs(self, moving, options, field):
        address = {
            "outsider": Keystore(moving.keys).chain.address,
            "member": moving.decision.consortium.homes["budapest"].keys.chain.address,
        }
        result, file = moving.vote("zurich", *(address.get(option, option) for option in options))
        assert json.loads(result.stderr)["error"]["field"] == field
        assert not file.exists()

    def test_has_the_digest_that_the_contract_gives_it(self, moving):
        domain = moving.decision.consortium.homes["zurich"].pins.domain
        proposal = examine(MembershipChange("", "", 2), Rpc(moving.rpc), domain)
        words = (number_word(0), number_word(0), number_word(2))
        told = Rpc(moving.rpc).call(domain.registry, "change_digest(address,address,uint256)", *words)
        assert canonical.digest_bytes(proposal.digest) == told

    def test_on_another_chain_is_refused(self, moving):
        domain = replace(moving.decision.consortium.homes["zurich"].pins.domain, chain_id=1)
        with pytest.raises(Refused, match=Reason.CHAIN_WRONG):
            examine(MembershipChange("", "", 2), Rpc(moving.rpc), domain)


def test_the_client_knows_this_version_s_contracts():
    for name in CONTRACTS:
        made, known = artefact(name), SOURCES[name]
        assert made.code_hash.hex() == known.code
        assert (len(made.bytecode), keccak(made.bytecode).hex()) == (known.length, known.bytecode)


def test_a_contract_s_creation_is_shown_before_anybody_relies_on_it(moving):
    command = ["--home", str(moving.folders["zurich"]), "--output", "json", "consortium", "contract", moving.made]
    shown = json.loads(CliRunner().invoke(concordat, [*command, "--rpc", moving.rpc]).stdout)
    assert shown == {
        "contract": "AnchorLog",
        "address": moving.new,
        "submitters": [Keystore(moving.keys).chain.address],
        "registry": moving.old.registry_address,
        "predecessor": moving.old.anchor_address,
    }


def test_what_is_resolved_is_named_in_one_way_only(moving):
    result, _ = moving.vote("zurich", "--successor", moving.made, "--quorum", "2")
    assert result.exit_code == 2


def test_changing_a_consortium_is_described_right(moving: Moving, tmp_path: Path) -> None:
    """The page's commands in their order, with this consortium's addresses: a member is replaced, then the log."""
    told, joining = Told("change-the-consortium"), Keystore(tmp_path / "joining").create().chain.address
    leaving = Keystore(moving.folders[NODES[-1]] / "keys").chain.address
    (tmp_path / "keys").symlink_to(moving.keys)
    account = Keystore(moving.keys).chain.address
    known = {"URL": moving.rpc, "N ": "31338 "}
    named = {"joining": joining, "leaving": leaving, "registry": moving.old.registry_address, "submitter": account}
    named |= dict.fromkeys(("log", "predecessor"), moving.old.anchor_address)
    known |= {f"--{name} 0x…": f"--{name} {address}" for name, address in named.items()}

    def here(begins: str) -> str:
        code = told.take(begins)
        for placeholder, own in known.items():
            code = code.replace(placeholder, own)
        return code

    def voted(code: str) -> str:
        """By three members, each in its own folder."""
        show, vote = code.strip().splitlines()
        vote = vote.replace("vote.json", "vote-$member.json")
        each = f"for member in {' '.join(NODES[:3])}; do\n{vote}\ndone"
        return f"{show}\n{each}\n{show}".replace("--home home", "--home $member")

    relayed = here("python -m ledger.chain.resolve --rpc URL --chain-id N --registry 0x… --log 0x… --keys keys relay")
    relay, enact = relayed.splitlines()
    said = typed(
        tmp_path,
        f"member={NODES[0]}",
        voted(here("concordat --home home consortium show --rpc URL --joining")),
        relay,
        enact,
        "rm vote-*.json",
        answers=[("Approve it?", "y")] * 3,
    )
    assert joining in said
    made = json.loads(typed(tmp_path, here("python -m ledger.chain.deploy")))
    known |= {"HASH": made["anchor_transaction"], "--successor 0x…": f"--successor {made['anchor_address']}"}
    succeeded = voted(here("concordat --home home consortium show --rpc URL --successor"))
    seal = here("python -m ledger.chain.resolve --rpc URL --chain-id N --registry 0x… --log 0x… --keys keys seal")
    typed(tmp_path, f"member={NODES[0]}", succeeded, relay, seal, answers=[("Approve it?", "y")] * 3)
    old = ChainClient(moving.rpc, 31338, moving.old.anchor_address, moving.old.registry_address)
    assert old.succession().sealed_to == made["anchor_address"]
    told.check_all_taken()
