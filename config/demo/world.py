"""The consortium of the demonstration: its folders, keys, processes and people, and how to reach them."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from compute.node.home import NodeHome, Settings
from concordat import canonical, clock
from concordat.client.api import Api
from concordat.client.home import ClientHome, Config
from concordat.client.session import Session
from concordat.enrolment import build_enrolment, build_roster
from concordat.fields import plain
from concordat.files import write_private
from concordat.keystore import Keystore
from concordat.pins import PinsDocument
from config.demo.consortium import BOARDS, CLEVELAND, HOSPITALS, LONG_BEACH, MEMBERS, NODES, QUORUM, Member
from config.demo.officers import Officer
from config.demo.screen import Screen
from config.demo.training import read_rows, with_outcome, write_rows
from config.local.stack import Stack, run_manage
from config.local.supervisor import Supervisor
from ledger.chain.deploy import deploy

_EVERYBODY = "studies.read definitions.read definitions.vote ledger.read dossiers.read"
SCOPES = {
    "party": f"institutions.write studies.write {_EVERYBODY}",
    "owner": f"studies.write models.read models.write definitions.write {_EVERYBODY}",
    "requester": f"institutions.write studies.write consents.write predictions.write predictions.read "
    f"records.read {_EVERYBODY}",
    "dealer": "definitions.read definitions.vote",
}


class World:
    """Everything that is up. Close it, or use it as a context manager; the folders stay."""

    def __init__(self, stack: Stack, supervisor: Supervisor) -> None:
        self.stack = stack
        self.supervisor = supervisor
        self.officers: dict[str, Officer] = {}
        self.reviewer: Officer | None = None
        self._open = ExitStack()
        self._apis: dict[str, Api] = {}

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        for officer in self.officers.values():
            officer.close()

    def folder(self, member: Member) -> Path:
        """An institution's own folder: of its node, if it runs one, and of its client."""
        return self.stack.node_home(member.slug)

    def home(self, member: Member) -> ClientHome:
        """The institution's side as its client sees it."""
        return ClientHome(self.folder(member))

    def api(self, member: Member) -> Api:
        """The institution's signed-in session with the coordinator."""
        if member.slug not in self._apis:
            home = self.home(member)
            scopes = sorted({scope for role in member.roles for scope in SCOPES[role].split()})
            session = Session(
                coordinator=self.stack.base_url,
                client_id=member.slug,
                key=home.keys.client,
                scopes=" ".join(scopes),
            )
            self._apis[member.slug] = Api(self._open.enter_context(session))
        return self._apis[member.slug]


def new_stack(state: Path) -> Stack:
    """A fresh state folder; an old one is removed."""
    if state.exists():
        shutil.rmtree(state)
    state.mkdir(mode=0o700, parents=True)
    return Stack(state, nodes=[member.slug for member in NODES])


def build(
    stack: Stack,
    supervisor: Supervisor,
    screen: Screen,
    *,
    table: Path,
    watch: Callable[[str], None] = lambda url: None,
) -> World:
    """Everything up to the point where institutions can begin to work: keys, chain, contracts, servers, nodes.

    Args:
        table: the rows of all hospitals; each institution's folder receives its own and no others.
        watch: called with the broker's address as each of its observers has it, once it is up.
    """
    world = World(stack, supervisor)
    stack.choose_ports()
    screen.doing("the broker starts: one user a node, each confined to its own keys")
    supervisor.start(stack.redis())
    for observer in stack.observers:
        watch(stack.broker_url(observer))
    run_manage(stack, ["create_keys"])
    coordinator = Keystore(stack.keys)
    stack.fund = coordinator.chain.address
    supervisor.start(stack.chain(), wait=False)
    stack.save()

    screen.doing("each institution generates its own keys")
    enrolments = {member.slug: _found(world, member, table) for member in MEMBERS}
    screen.done(f"{len(MEMBERS)} institutions hold their own keys; the coordinator sees public halves only")

    screen.doing("the embedded chain starts; both contracts are deployed")
    supervisor.wait_ready("chain")
    deployment = deploy(
        rpc_url=stack.chain_url,
        chain_id=stack.chain_id,
        deployer=coordinator.chain,
        submitters=[coordinator.chain.address],
        institutions=[world.home(member).keys.chain.address for member in HOSPITALS],
        quorum=QUORUM,
    )
    stack.anchor_address, stack.registry_address = deployment.anchor_address, deployment.registry_address
    stack.save()
    screen.done(f"chain {stack.chain_id} with anchor log and governance registry (a self-hosted anchor)")

    pins: PinsDocument = {
        "coordinator_key": coordinator.identity.public.b64,
        "log_origin": stack.log_origin,
        "enrolments": enrolments,
        "chain_id": stack.chain_id,
        "registry": stack.registry_address,
    }
    for member in MEMBERS:
        _pin(world, member, pins)

    screen.doing("the coordinator's database is created, institutions and officers are enrolled")
    run_manage(stack, ["migrate", "--no-input", "--verbosity", "0"])
    files = [str(world.folder(member) / "enrolment.jws") for member in MEMBERS]
    run_manage(stack, ["enrol", *files])
    for program in (stack.web(), stack.worker(), *map(stack.node, stack.nodes)):
        supervisor.start(program, wait=False)
    for board in BOARDS:
        world.officers[board.slug] = _appoint(stack, board, "irb-chair", f"IRB chair of {board.name}")
    world.officers[LONG_BEACH.slug] = _appoint(
        stack, LONG_BEACH, "institution-admin", f"Research director of {LONG_BEACH.name}"
    )
    world.reviewer = _appoint(stack, LONG_BEACH, "legal-reviewer", "Legal reviewer of Long Beach")
    for name in ("web", "worker"):
        supervisor.wait_ready(name)
    screen.done("web server, worker, three compute nodes and the dealer's node are up, each a process of its own")

    screen.doing("officers register passkeys; each institution's offline key signs the roster that lists them")
    for member in HOSPITALS:
        _publish_roster(world, member)
    screen.done("four officers have passkeys (in software), on rosters that their institutions' offline keys signed")

    screen.doing("Long Beach, which has no board of its own, and Cleveland sign a reliance agreement")
    _rely(world, LONG_BEACH, CLEVELAND)
    screen.done("Long Beach relies on Cleveland's board (45 CFR 46.114), signed by an officer of each")
    return world


def _found(world: World, member: Member, table: Path) -> str:
    """Makes the institution's folder with its keys, policy and own rows; answers its signed enrolment."""
    folder, stack = world.folder(member), world.stack
    if member in NODES:
        settings: Settings = {
            "institution": member.slug,
            "coordinator": stack.base_url,
            "broker": stack.broker_url(member.slug),
            "rpc": stack.chain_url,
        }
        home = NodeHome.create(
            folder,
            settings,
            name=member.name,
            jurisdiction=member.jurisdiction,
            roles=member.roles,
        )
        token = home.enrolment
    else:
        token = build_enrolment(
            Keystore(folder / "keys").create(),
            institution=member.slug,
            name=member.name,
            jurisdiction=member.jurisdiction,
            roles=member.roles,
            issued=clock.now(),
        )
        (folder / "enrolment.jws").write_text(token)
    if member.dataset:
        rows = [with_outcome(row) for row in read_rows(table) if row["dataset"] == member.dataset]
        write_rows(folder / "data.csv", rows)
    return token


def _pin(world: World, member: Member, pins: PinsDocument) -> None:
    """Each institution writes down whom it believes. In life they compare the keys by telephone first."""
    config: Config = {"institution": member.slug, "coordinator": world.stack.base_url}
    ClientHome.create(world.folder(member), config).pin(canonical.encode(plain(pins)))


def write_policy(world: World, member: Member, policy: Mapping[str, canonical.Json]) -> None:
    """The institution's own word on what its node may do."""
    write_private(world.folder(member) / "policy.json", canonical.encode(policy), replace=True)


def _appoint(stack: Stack, board: Member, role: str, name: str) -> Officer:
    officer = Officer(email=f"{role}@{board.slug}.example", name=name, institution=board.slug, role=role)
    run_manage(
        stack,
        ["create_officer", officer.email, officer.name, board.slug, role, "--password-stdin"],
        stdin=officer.password + "\n",
    )
    return officer


def _publish_roster(world: World, board: Member) -> None:
    officer = world.officers[board.slug]
    officer.sign_in(world.stack.base_url)
    token = build_roster(
        world.home(board).keys.offline,
        institution=board.slug,
        version=1,
        officers=[officer.register_passkey()],  # type: ignore[list-item]
        issued=clock.now(),
    )
    world.api(board).publish_roster(token)


def _rely(world: World, relying: Member, reviewing: Member) -> None:
    world.officers[relying.slug].sign(
        "propose-reliance",
        relying=relying.slug,
        reviewing=reviewing.slug,
        study="",
        responsibilities="The reviewing board decides for both sites; the relying site reports what is local.",
        ends=clock.rfc3339(clock.now() + timedelta(days=3 * 365)),
    )
    agreement = world.api(relying).lists.reliances()[0]["agreement"]
    world.officers[reviewing.slug].sign("accept-reliance", agreement=agreement)


def readdress(stack: Stack) -> None:
    """Tells every institution's folder where coordinator, broker and chain are now; ports may have changed."""
    for member in MEMBERS:
        folder = stack.node_home(member.slug)
        ClientHome.create(folder, {**ClientHome(folder).config, "coordinator": stack.base_url})
        if member in NODES:
            NodeHome(folder).move(coordinator=stack.base_url, broker=stack.broker_url(member.slug), rpc=stack.chain_url)
