"""The private state of one prediction, on disk before anything is sent.

    work/<request>/request.json    the signed request, its shares and their openings, what was asked about whom
    work/<request>/output.key      the private key that opens the result
    work/<request>/job             the coordinator's name for it, once it has answered
    work/<request>/*.package    what reopens it, sealed to the records key and the escrow, and the statement about it
    work/<request>/reading.json    where in a FHIR Bundle each value came from, if it came from one
    work/<request>/result.json     what the nodes returned, opened: what a disclosure is made of
    work/<request>/alarm           the signed alarm, if a canary came back wrong: nobody can say that there was none

A crash at any point loses nothing: whatever was about to be sent is sent again under the same request id, which the
coordinator answers with the same job. The folder is its owner's alone (0700, files 0600). Deleting it makes the result
unreadable from here for ever; what opens it then are the packages, if there were records keys.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from concordat.client.api import Result
from concordat.client.canaries import Batch
from concordat.fhir.reading import Origins
from concordat.fields import read
from concordat.files import write_private
from concordat.package import Signed, Stage
from concordat.reasons import Reason, Refused
from concordat.request import Prepared
from concordat.schema import Value
from concordat.sealing import SealingKey


class Work:
    """One prediction's folder. Reading what is not there raises Refused(NOT_FOUND)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def begin(
        cls,
        root: Path,
        *,
        request: str,
        prepared: Prepared,
        definition: str,
        values: Mapping[str, Value],
        what_ifs: Sequence[Mapping[str, Value]],
        batch: Batch,
        package: Signed | None,
    ) -> "Work":
        """Write down everything that sending the request and opening its answer will need."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        work = cls(root / request)
        work.folder.mkdir(mode=0o700)
        write_private(work.folder / "output.key", prepared.output_key.raw, replace=True)
        content = {
            "request": request,
            "definition": definition,
            "token": prepared.token,
            "digest": prepared.digest,
            "sealed": dict(prepared.sealed),
            "openings": [dict(each) for each in prepared.openings],
            "values": dict(values),
            "what_ifs": [dict(each) for each in what_ifs],
            "place": batch.place,
            "canaries": [[dict(each) for each in canaries] for canaries in batch.canaries],
            "sheet": batch.sheet,
        }
        if package is not None:
            work.keep_package("request", package)
        write_private(work.folder / "request.json", json.dumps(content).encode(), replace=True)
        return work

    @classmethod
    def of(cls, root: Path, request: str) -> "Work":
        """The work that was begun under this request id. Raises Refused(NOT_FOUND)."""
        try:
            folder = root / str(UUID(request))
        except ValueError:
            raise Refused(Reason.NOT_FOUND, detail="A request id is a UUID.", field="request") from None
        if not (folder / "request.json").exists():
            raise Refused(Reason.NOT_FOUND, detail="This prediction was not requested from here.", field="request")
        return cls(folder)

    @property
    def request(self) -> str:
        return self.folder.name

    @property
    def content(self) -> dict[str, Any]:
        """`request, definition, token, digest, sealed, openings, values, what_ifs, place, canaries, sheet`, as `begin`
        was given them."""
        return self._json("request.json")

    @property
    def output_key(self) -> SealingKey:
        return SealingKey.from_raw(self._read("output.key"))

    @property
    def job(self) -> str:
        """The coordinator's name for it; empty until it has answered."""
        file = self.folder / "job"
        return file.read_text() if file.exists() else ""

    def submitted(self, job: str) -> None:
        """The coordinator has answered. Raises Refused(CONFLICT) if it once answered with another job."""
        if self.job not in ("", job):
            raise Refused(Reason.CONFLICT, detail="The coordinator names another job for the same request.")
        write_private(self.folder / "job", job.encode(), replace=True)

    def opened(self, result: Result) -> None:
        """Keep the opened result."""
        write_private(self.folder / "result.json", json.dumps(result).encode(), replace=True)

    def keep_reading(self, origins: Origins) -> None:
        """Keep where the values came from: what a result that is written as FHIR is based on."""
        write_private(self.folder / "reading.json", json.dumps(origins).encode(), replace=True)

    @property
    def origins(self) -> Origins:
        """Where the values came from; empty if not from FHIR."""
        if not (self.folder / "reading.json").exists():
            return {"patient": "", "items": []}
        return read(self._json("reading.json"), Origins)

    @property
    def alarm(self) -> str:
        """The alarm (JWS) that was raised about it, or empty."""
        file = self.folder / "alarm"
        return file.read_text() if file.exists() else ""

    def alarmed(self, alarm: str) -> None:
        """Keep an alarm, before it is sent."""
        write_private(self.folder / "alarm", alarm.encode(), replace=True)

    def keep_package(self, stage: Stage, package: Signed) -> None:
        """Keep a package before it is sent. The first one stays: it may have been sent."""
        content = json.dumps({"package": package.package, "statement": package.statement}).encode()
        with suppress(FileExistsError):
            write_private(self.folder / f"{stage}.package", content, replace=False)

    def package(self, stage: Stage) -> Signed | None:
        """The package of a stage, if there is one."""
        if not (self.folder / f"{stage}.package").exists():
            return None
        return Signed(**self._json(f"{stage}.package"))

    @property
    def result(self) -> Result:
        return read(self._json("result.json"), Result)

    def _json(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._read(name))
        return value

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise Refused(Reason.NOT_FOUND, detail=f"This prediction has no {name} yet.") from None
