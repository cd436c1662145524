"""The private state of one request, on disk before anything is sent.

    work/<request>/request.json    the signed request, its shares and their openings, what was asked about whom
    work/<request>/output.key      the private key that opens the result
    work/<request>/job             the coordinator's name for it, once it has answered
    work/<request>/*.package    what reopens it, sealed to the records key and the escrow, and the statement about it
    work/<request>/reading.json    where in a FHIR Bundle each value came from, if it came from one
    work/<request>/result.json     what the nodes returned, opened: what a disclosure is made of
    work/<request>/written         what of its result a FHIR server may have, and since when, if it was sent to one
    work/<request>/taken-back      why that is taken back, and whether it is done, if it is
    work/<request>/alarm           the signed alarm, if a canary came back wrong: nobody can say that there was none

An audit has its folder in audits/ and a training in trainings/, with request.json, output.key, job and result.json.

A crash at any point loses nothing: whatever was about to be sent is sent again under the same request id, which the
coordinator answers with the same job. The folder is its owner's alone (0700, files 0600). Deleting it makes the result
unreadable from here for ever; what opens it then are the packages, if there were records keys.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.asking import Prepared
from concordat.client.answers import ManyResult, Result
from concordat.client.canaries import Batch
from concordat.client.home import Many
from concordat.fields import STRICT, Text, Time, read
from concordat.files import write_private
from concordat.package import Signed, Stage
from concordat.reading.record import Origins
from concordat.reasons import Reason, Refused
from concordat.schema import Value
from concordat.sealing import SealingKey


@with_config(STRICT)
class Sent(TypedDict):
    """A resource, by its type and the Identifier that it was sent with."""

    type: Text
    identifier: dict[str, Text]


@with_config(STRICT)
class Written(TypedDict):
    """What was sent to a FHIR server, and when first."""

    since: Time
    resources: list[Sent]


@with_config(STRICT)
class TakenBack(TypedDict):
    """Why it is taken back there, a code of `display.BY_HAND`, and whether that is done."""

    why: Text
    done: bool


class Asked:
    """The folder of one request, whatever is asked for. Reading what is not there raises Refused(NOT_FOUND)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, root: Path, request: str) -> Self:
        """What was begun under this request id. Raises Refused(NOT_FOUND)."""
        try:
            folder = root / str(UUID(request))
        except ValueError:
            raise Refused(Reason.NOT_FOUND, detail="A request id is a UUID.", field="request") from None
        if not (folder / "request.json").exists():
            raise Refused(Reason.NOT_FOUND, detail="This was not requested from here.", field="request")
        return cls(folder)

    @property
    def request(self) -> str:
        return self.folder.name

    @property
    def content(self) -> dict[str, Any]:
        """As `begin` was given it: `request, definition, token, digest`, and of a prediction `sealed, openings, values,
        what_ifs, about, place, canaries, sheet`, of the others `many`."""
        return self._json("request.json")

    @property
    def output_key(self) -> SealingKey:
        return SealingKey.from_raw(self._read("output.key"))

    @property
    def job(self) -> str:
        """The coordinator's name for it; empty until it has answered."""
        file = self.folder / "job"
        return file.read_text() if file.exists() else ""

    @property
    def sent(self) -> str:
        """The coordinator's name for it. Raises Refused(WRONG_STATE) for what was not sent yet."""
        if not self.job:
            raise Refused(Reason.WRONG_STATE, detail="The request was not sent yet; submit it first.")
        return self.job

    def submitted(self, job: str) -> None:
        """The coordinator has answered. Raises Refused(CONFLICT) if it once answered with another job."""
        if self.job not in ("", job):
            raise Refused(Reason.CONFLICT, detail="The coordinator names another job for the same request.")
        write_private(self.folder / "job", job.encode(), replace=True)

    @classmethod
    def _new(cls, root: Path, request: str, prepared: Prepared) -> Self:
        """A folder with the key that opens the result; what was asked for is still to be written."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        asked = cls(root / request)
        asked.folder.mkdir(mode=0o700)
        write_private(asked.folder / "output.key", prepared.output_key.raw, replace=True)
        return asked

    def _ask(self, content: Mapping[str, Any]) -> None:
        write_private(self.folder / "request.json", json.dumps(content).encode(), replace=True)

    def _json(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._read(name))
        return value

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise Refused(Reason.NOT_FOUND, detail=f"This request has no {name} yet.") from None


class CohortWork(Asked):
    """The folder of one audit or training; in result.json is what the nodes returned, verified."""

    @classmethod
    def begin(cls, root: Path, *, many: Many, request: str, prepared: Prepared, definition: str) -> Self:
        """Write down everything that sending the request and using its answer will need."""
        work = cls._new(root, request, prepared)
        work._ask(
            {
                "many": many,
                "request": request,
                "definition": definition,
                "token": prepared.token,
                "digest": prepared.digest,
            }
        )
        return work

    @property
    def many(self) -> Many:
        """Whether an audit or a training was asked for."""
        many: Many = self.content["many"]
        return many

    def verified(self, result: ManyResult) -> None:
        """Keep the result."""
        write_private(self.folder / "result.json", json.dumps(result).encode(), replace=True)

    @property
    def manifest(self) -> str:
        """The manifest (JWS) that was signed for a trained model, or empty."""
        file = self.folder / "manifest.jws"
        return file.read_text() if file.exists() else ""

    def signed(self, manifest: str) -> None:
        """Keep the manifest before it is sent: it is signed once."""
        write_private(self.folder / "manifest.jws", manifest.encode(), replace=True)


class Work(Asked):
    """One prediction's folder. Reading what is not there raises Refused(NOT_FOUND)."""

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
        about: str,
        batch: Batch,
        package: Signed | None,
    ) -> Self:
        """Write down everything that sending the request and opening its answer will need."""
        work = cls._new(root, request, prepared)
        content = {
            "request": request,
            "definition": definition,
            "token": prepared.token,
            "digest": prepared.digest,
            "sealed": dict(prepared.sealed),
            "openings": [dict(each) for each in prepared.openings],
            "values": dict(values),
            "what_ifs": [dict(each) for each in what_ifs],
            "about": about,
            "place": batch.place,
            "canaries": [[dict(each) for each in canaries] for canaries in batch.canaries],
            "sheet": batch.sheet,
        }
        if package is not None:
            work.keep_package("request", package)
        work._ask(content)
        return work

    def opened(self, result: Result) -> None:
        """Keep the opened result."""
        write_private(self.folder / "result.json", json.dumps(result).encode(), replace=True)

    @property
    def requests(self) -> list[str]:
        """Its id, and that of the earlier request whose record it asks about, if it does."""
        return [self.request, *filter(None, [self.content.get("about", "")])]  # earlier versions did not write it down

    def keep_reading(self, origins: Origins) -> None:
        """Keep where the values came from: what a result that is written as FHIR is based on."""
        write_private(self.folder / "reading.json", json.dumps(origins).encode(), replace=True)

    def keep_source(self, source: str) -> None:
        """Keep which FHIR server the record came from: a result goes back to that one alone."""
        write_private(self.folder / "source", source.encode(), replace=True)

    @property
    def source(self) -> str:
        """The FHIR server's address; empty if the record came from none."""
        file = self.folder / "source"
        return file.read_text() if file.exists() else ""

    @property
    def written(self) -> Written | None:
        """What of its result was sent to the FHIR server, or may have been; None if nothing was."""
        return read(self._json("written"), Written) if (self.folder / "written").exists() else None

    def keep_written(self, bundle: Mapping[str, Any], when: datetime) -> None:
        """Its result is about to be sent to the FHIR server as this Bundle. The first time stays."""
        resources = [entry["resource"] for entry in bundle["entry"]]
        sent = [
            {"type": each["resourceType"], "identifier": each["identifier"][0]}
            for each in resources
            if "identifier" in each
        ]
        content = json.dumps({"since": clock.rfc3339(when), "resources": sent}).encode()
        with suppress(FileExistsError):
            write_private(self.folder / "written", content, replace=False)

    @property
    def taken_back(self) -> TakenBack | None:
        """Why what a FHIR server has of its result is taken back, and whether that is done; None if it is not."""
        return read(self._json("taken-back"), TakenBack) if (self.folder / "taken-back").exists() else None

    def take_back(self, why: str, *, done: bool = False) -> None:
        """What a FHIR server has of its result is taken back. Once that was done it stays so."""
        before = self.taken_back
        if before is None or not before["done"]:
            content = json.dumps({"why": why, "done": done}).encode()
            write_private(self.folder / "taken-back", content, replace=True)

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
