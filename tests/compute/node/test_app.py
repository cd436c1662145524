"""The node's worker on a real broker, as a process of its own, and without Django."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis
from celery import Celery

from compute.node.app import make_app
from compute.queues import key_prefix, queue
from concordat import canonical
from tests.support.consortium import Case, Consortium
from tests.support.redis import redis_server

ROOT = Path(__file__).parents[3]


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return plain | more


def test_the_node_never_imports_django():
    program = """
        import sys
        sys.modules["django"] = None
        import compute.node.cli
        from compute.node import app, authority, coordinator, home, jobs, policy, registry, replay, tasks
        assert not [name for name in sys.modules if name.split(".")[0] in ("governance", "ledger", "config", "torch")]
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("variables", [{}, {"DJANGO_SETTINGS_MODULE": "no.such.settings"}])
def test_celery_does_not_load_django_for_the_node(tmp_path, variables):
    consortium = Consortium(tmp_path)
    program = f"""
        import sys
        sys.modules["django"] = None
        from compute.node.app import make_app
        from compute.node.home import NodeHome
        app = make_app(NodeHome({str(consortium.homes["zurich"].directory)!r}))
        app.finalize(); app.loader.import_default_modules()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_worker_keeps_no_results_and_takes_no_orders(tmp_path):
    app = make_app(Consortium(tmp_path).homes["zurich"])
    assert app.conf.result_backend is None
    assert app.conf.task_ignore_result
    assert not app.conf.worker_enable_remote_control
    assert app.conf.accept_content == ["json"]


class Coordinator(BaseHTTPRequestHandler):
    """Signs the node in, hands out one case, and notes the answer."""

    case: Case
    heard: "list[tuple[str, dict]]"
    answered: threading.Event

    def do_GET(self):
        self._reply(self.case.documents_of("budapest"))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/token"):
            self.heard.append(("token", {}))
            self._reply({"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "node"})
            return
        if self.path.endswith("/node/status"):
            self._reply({"seen": "2026-01-31T12:00:00Z"})
            return
        self.heard.append((self.path, json.loads(body)))
        self._reply({})
        self.answered.set()

    def _reply(self, value):
        data = canonical.encode(value)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        """Silence."""


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_a_ticket_comes_in_through_the_broker_and_its_answer_goes_out_over_https(tmp_path):
    """Refused for want of a policy file; but through Celery, Redis, sign-in and HTTP, in a process of its own, which
    has an engine waiting and takes it along when it ends."""
    with redis_server(tmp_path) as broker:
        consortium = Consortium(tmp_path, broker=broker)
        case = Case.make(consortium)
        home = consortium.homes["budapest"]
        (home.directory / "policy.json").unlink()
        handler = type("Handler", (Coordinator,), {"case": case, "heard": [], "answered": threading.Event()})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = home.settings | {"coordinator": f"http://127.0.0.1:{server.server_port}"}
        (home.directory / "node.json").write_bytes(canonical.encode(settings))
        output = (tmp_path / "node.log").open("wb")
        worker = subprocess.Popen(
            [sys.executable, "-m", "compute.node", "run", "--home", str(home.directory)],
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=output,
        )
        try:
            sender = Celery(broker=broker, set_as_current=False)
            sender.conf.broker_transport_options = {"global_keyprefix": key_prefix("budapest")}
            sender.send_task("node.reserve", [case.token], queue=queue("budapest"))
            assert handler.answered.wait(60), (tmp_path / "node.log").read_text()
            [spare] = children(worker.pid)
            assert b"compute.engine" in Path(f"/proc/{spare}/cmdline").read_bytes()
        finally:
            worker.terminate()
            worker.wait(20)
            server.shutdown()
            output.close()
        assert not Path(f"/proc/{spare}").exists()
        [(path, body)] = [each for each in handler.heard if each[0] != "token"]
        assert path == f"/api/v1/node/jobs/{case.job}/answer"
        assert case.read(body["answer"])["reason"] == "policy-missing"
        keys = {key.decode() for key in redis.Redis.from_url(broker).scan_iter()}
        assert all(key.startswith("concordat:budapest:") for key in keys), keys
        log = (tmp_path / "node.log").read_text()
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]  # Celery says goodbye in words
        assert any(line["event"] == "ticket.refused" and line["reason"] == "policy-missing" for line in lines)
        assert case.token not in log
