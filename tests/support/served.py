"""The coordinator under an address of its own, for the real commands in processes of their own.

It is served in the thread, and in the transaction, of the test whose database it has.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.management import CommandError, call_command
from django.core.wsgi import get_wsgi_application

MANAGE = "/typed/manage.py"
_BRIDGE = """#!/usr/bin/env python3
import json, os, sys, urllib.request
with urllib.request.urlopen({address!r}, json.dumps([os.getcwd(), *sys.argv[1:]]).encode()) as answer:
    said = json.load(answer)
sys.stdout.write(said["out"]); sys.stderr.write(said["error"]); sys.exit(bool(said["error"]))
"""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class Served:
    """`address` is where the coordinator is; `serve` answers what has come within a moment."""

    def __init__(self, server: WSGIServer) -> None:
        self._server = server
        self.address = f"http://localhost:{server.server_port}"

    def serve(self) -> None:
        self._server.handle_request()

    def put_manage(self, folder: Path) -> None:
        """An operator's `manage.py` in this folder and on the shell's path, of the coordinator that is served."""
        for file in (folder / "manage.py", folder / ".commands" / "manage.py"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(_BRIDGE.format(address=self.address + MANAGE))
            file.chmod(0o755)


@contextmanager
def served(settings: Any) -> Iterator[Served]:
    """Changes the settings' base address to the one under which it is served."""
    django = get_wsgi_application()

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        return _manage(environ, start) if environ["PATH_INFO"] == MANAGE else django(environ, start)

    with make_server("127.0.0.1", 0, answer, handler_class=_Quiet) as server:
        server.timeout = 0.02
        made = Served(server)
        settings.BASE_URL = made.address
        yield made


def _manage(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    """One of the coordinator's own commands, in a folder, with these arguments as strings."""
    folder, name, *words = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    out, error = io.StringIO(), ""
    try:
        with chdir(folder):
            call_command(name, *words, stdout=out, stderr=out)
    except CommandError as refused:
        error = f"{refused}\n"
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"out": out.getvalue(), "error": error}).encode()]
