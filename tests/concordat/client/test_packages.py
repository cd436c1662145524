"""A decision is reopened without its work folder: by the records key, by officers, by keys that were retired since."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from compute.models import Job, RecordsPackage
from compute.services.erasure import erase_subject
from concordat import canonical, clock, escrow, package
from concordat.canonical import digest
from concordat.client import api as client_api
from concordat.client import escrow as ceremonies
from concordat.client import predict
from concordat.client.api import Api
from concordat.client.cli import main
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.client.packages import check_kept
from concordat.client.work import Work
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.package import read_package
from concordat.reasons import Reason, Refused
from concordat.request import peek_request
from concordat.signatures import SigningKey, keyring, peek, verify
from concordat.verifier import disclosure
from governance.models import InstitutionKey
from ledger.models import LogEntry
from tests.concordat.client.conftest import World, prepare
from tests.support.needles import spellings

OFFICERS = ("anna", "ben", "chris")
PHRASES = {officer: f"passphrase of {officer}" for officer in OFFICERS}


def refusal(reason: Reason) -> Any:
    return pytest.raises(Refused, match=f"^{reason}:")


class Custody:
    """Who holds what: the records key's folder, and the officers' shares, out of their files."""

    def __init__(self, home: ClientHome, folder: Path) -> None:
        self.home, self.keys = home, Keystore(folder / "records-key").create(["sealing"])
        self.shares = self.renew()

    def renew(self) -> list[escrow.OfficerShare]:
        terms, self.shares = escrow.create(OFFICERS, 2)
        keys = package.sign_keys(
            institution=self.home.institution,
            records=self.keys.sealing.public,
            terms=terms,
            issued=clock.now(),
            offline=self.home.keys.offline,
        )
        self.home.records_file.write_text(keys)
        return self.shares


@pytest.fixture
def home(world: World) -> ClientHome:
    return world.homes["long-beach"]


@pytest.fixture
def api(world: World) -> Api:
    return world.api("long-beach")


@pytest.fixture
def custody(home: ClientHome, tmp_path: Path) -> Custody:
    return Custody(home, tmp_path)


@pytest.fixture
def decided(custody: Custody, world: World, agreed: CheckedDefinition, home: ClientHome, api: Api) -> Work:
    """A decision that was asked for, computed and opened, with records keys in force."""
    work = prepare(world, agreed)
    predict.submit(work, api)
    world.compute(agreed)
    predict.open_result(home, api, work)
    return work


def kept(work: Work) -> dict[str, bytes]:
    """What the coordinator keeps, by stage."""
    return {each.stage: each.content.encode() for each in RecordsPackage.objects.filter(job__uuid=work.job)}


def everything_stored() -> Iterator[str]:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                yield from (bytes(each).decode("latin-1") if isinstance(each, bytes) else str(each) for each in row)


def check_the_log(packages: dict[str, str]) -> None:
    """The log names each package, and the keys that open it."""
    entries = LogEntry.objects.filter(event=Event.RECORD_SEALED)
    assert {entry.public["stage"]: entry.public["package"] for entry in entries} == packages
    for entry in entries:
        assert entry.public["records_key"] != entry.public["escrow_key"]
        assert entry.index == RecordsPackage.objects.get(stage=entry.public["stage"]).entry


def check_nothing_leaks(content: str) -> None:
    """Every salt and every share of the disclosure, searched for in every column of every table."""
    found = disclosure.parse(content.encode())
    openings = [*found.get("inputs", {}).values()]
    openings += [part for shares in found["outputs"].values() for part in (shares["prediction"], shares["explanation"])]  # type: ignore[misc]
    secrets = [text for opening in openings for text in (opening["salt"], opening["share"])]
    assert len(secrets) == 2 * 3 * 3
    assert all(secret in content for secret in secrets), "the search would find nothing anywhere"
    for value in everything_stored():
        for secret in secrets:
            raw = canonical.unb64(secret)
            assert secret not in value
            assert raw.decode("latin-1") not in value
            assert raw.hex() not in value


def test_a_decision_is_reopened_when_its_work_folder_is_gone(decided: Work, custody: Custody, api: Api) -> None:
    """The officers' disclosure is the one that the requester would have made; so is the records key's."""
    expected = predict.disclose(decided, with_record=True)
    job, packages = decided.job, kept(decided)
    assert set(packages) == {"request", "result"}
    shutil.rmtree(decided.folder)
    fetched = {each["stage"]: read_package(each["package"].encode()) for each in api.packages(job)}
    by_officers = ceremonies.open_by_officers(fetched["result"], custody.shares[1:])
    assert canonical.decode(by_officers) == expected
    assert by_officers == ceremonies.open_by_records_key(fetched["result"], custody.keys)
    found = disclosure.parse(by_officers)
    assert found["inputs"]
    asked = canonical.decode(ceremonies.open_by_officers(fetched["request"], custody.shares[:2]))
    assert {name: asked[name] for name in ("request", "place", "inputs")} == {
        name: expected[name] for name in ("request", "place", "inputs")
    }
    with refusal(Reason.SHARES_TOO_FEW):
        ceremonies.open_by_officers(fetched["result"], custody.shares[:1])
    check_the_log({stage: digest(content) for stage, content in packages.items()})
    check_nothing_leaks(by_officers.decode())


def test_the_request_is_kept_as_soon_as_it_was_made(custody: Custody, world: World, agreed: Any, api: Api) -> None:
    work = prepare(world, agreed)
    assert work.package("request") is not None
    predict.submit(work, api)
    predict.submit(work, api)
    assert set(kept(work)) == {"request"}
    content = ceremonies.open_by_records_key(read_package(kept(work)["request"]), custody.keys)
    assert peek_request(canonical.decode(content)["request"])["request"] == work.request


def test_retired_keys_still_open_what_was_sealed_to_them(decided: Work, custody: Custody) -> None:
    old_shares, sealed = custody.shares, read_package(kept(decided)["result"])
    before = ceremonies.open_by_records_key(sealed, custody.keys)
    custody.keys.successors.create(["sealing"])
    custody.keys.promote("sealing")
    new_shares = custody.renew()
    assert ceremonies.open_by_records_key(sealed, Keystore(custody.keys.directory)) == before
    assert ceremonies.open_by_officers(sealed, old_shares[:2]) == before
    with refusal(Reason.KEY_UNKNOWN):
        ceremonies.open_by_officers(sealed, new_shares[:2])
    with refusal(Reason.KEY_UNKNOWN):
        ceremonies.open_by_officers(sealed, [old_shares[0], new_shares[1]])


def test_without_records_keys_nothing_is_sealed(world: World, agreed: Any, home: ClientHome, api: Api) -> None:
    work = prepare(world, agreed)
    predict.submit(work, api)
    assert work.package("request") is None
    with refusal(Reason.NOT_FOUND):
        api.packages(work.job)


def forged_keys(custody: Custody) -> str:
    """Records keys that say they are ours."""
    terms, _ = escrow.create(OFFICERS, 2)
    return package.sign_keys(
        institution="long-beach",
        records=custody.keys.sealing.public,
        terms=terms,
        issued=clock.now(),
        offline=SigningKey.generate(),
    )


def test_records_keys_that_our_offline_key_did_not_sign_are_not_used(
    custody: Custody, world: World, agreed: CheckedDefinition, home: ClientHome
) -> None:
    home.records_file.write_text(forged_keys(custody))
    with refusal(Reason.KEY_UNKNOWN):
        prepare(world, agreed)
    assert not list(home.work.glob("*"))


def test_the_coordinator_keeps_only_what_it_can_tell_is_ours(
    computed: Work, custody: Custody, home: ClientHome, api: Api
) -> None:
    def sealed(**changes: Any) -> package.Signed:
        arguments = {
            "request": computed.request,
            "stage": "result",
            "keys": home.records_keys,
            "now": clock.now(),
            "key": home.keys.identity,
        }
        return package.seal({"v": 1}, **arguments | changes)  # type: ignore[arg-type]

    def refused(reason: Reason, statement: str, content: str) -> None:
        with refusal(reason):
            api.keep_package(computed.job, statement, content)

    genuine, other = sealed(), sealed()
    refused(Reason.DIGEST_MISMATCH, genuine.statement, other.package)
    refused(Reason.TOO_LARGE, genuine.statement, " " * (package.LARGEST + 1))
    strange = sealed(request="6f1d2f3e-0000-4000-8000-000000000001")
    refused(Reason.CONFLICT, strange.statement, strange.package)
    unsigned = sealed(key=SigningKey.generate())
    refused(Reason.KEY_UNKNOWN, unsigned.statement, unsigned.package)
    # Whoever runs the requester's systems cannot pass off an escrow that the offline key did not sign.
    forged = sealed(keys=forged_keys(custody))
    refused(Reason.KEY_UNKNOWN, forged.statement, forged.package)
    assert not RecordsPackage.objects.exists()
    for _ in range(2):
        api.keep_package(computed.job, genuine.statement, genuine.package)
    refused(Reason.CONFLICT, other.statement, other.package)
    assert kept(computed) == {"result": genuine.package.encode()}
    assert LogEntry.objects.filter(event=Event.RECORD_SEALED).count() == 1


def test_a_result_is_not_kept_before_there_is_one(custody: Custody, home: ClientHome, api: Api, work: Work) -> None:
    predict.submit(work, api)
    sealed = package.seal(
        {"v": 1},
        request=work.request,
        stage="result",
        keys=home.records_keys,
        now=clock.now(),
        key=home.keys.identity,
    )
    with refusal(Reason.WRONG_STATE):
        api.keep_package(work.job, sealed.statement, sealed.package)


def test_that_packages_were_handed_out_is_recorded(decided: Work, world: World, api: Api, tmp_path: Path) -> None:
    api.packages(decided.job)
    with refusal(Reason.ROLE_MISSING):
        world.api("cleveland").packages(decided.job)  # a node and the model's owner of that very job
    record = Job.objects.get().record
    call_command("hand_out_package", record, str(tmp_path), "order 4 O 12/26 of the district court")
    assert (tmp_path / f"{record}.result.package").read_bytes() == kept(decided)["result"]
    with pytest.raises(CommandError):  # it is not written twice over, and then not recorded either
        call_command("hand_out_package", record, str(tmp_path), "again")
    entries = LogEntry.objects.filter(event=Event.RECORD_HANDED_OUT)
    assert [(entry.public["role"], entry.public["ground"]) for entry in entries] == [
        ("requester", "own-decision"),
        ("operator", "order 4 O 12/26 of the district court"),
    ]


def test_an_erased_person_s_packages_are_gone(decided: Work, api: Api) -> None:
    subject = UUID(peek_request(decided.content["token"])["subject"])
    sent = decided.package("result")
    erase_subject(institution="long-beach", subject=subject, ground="objection")
    assert set(kept(decided).values()) == {b""}
    with refusal(Reason.ERASED):
        api.packages(decided.job)
    assert sent is not None
    with refusal(Reason.ERASED):
        api.keep_package(decided.job, sent.statement, sent.package)


def test_the_database_keeps_packages_as_they_are(decided: Work) -> None:
    rows = RecordsPackage.objects.filter(stage="result")
    for change in ({"content": "other"}, {"content": "", "digest": "other"}, {"stage": "request"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.delete()


def test_the_ceremony_and_the_drill_by_hand(home: ClientHome, tmp_path: Path) -> None:
    """As the institution types it: the escrow, a drill, a drill that one officer alone cannot hold."""
    shares, keys = tmp_path / "shares", tmp_path / "records-key"
    shares.mkdir()

    def run(*arguments: object, typed: list[str]) -> Any:
        lines = "".join(f"{line}\n" for line in typed)
        return CliRunner().invoke(main, ["--home", str(home.directory), *map(str, arguments)], input=lines)

    named = [part for officer in OFFICERS for part in ("--officer", officer)]
    twice = [phrase for phrase in PHRASES.values() for _ in range(2)]
    places = ("--shares", shares, "--keys", keys)
    made = run("escrow", "create", *named, "--threshold", 2, *places, typed=twice)
    assert made.exit_code == 0, made.output
    files = {path.name.split(".")[1]: path for path in shares.iterdir()}
    assert set(files) == set(OFFICERS)
    assert all(path.stat().st_mode & 0o077 == 0 for path in files.values())
    whole = [path for path in home.directory.rglob("*") if path.is_file() and path.name != "records.jws"]
    terms = package.RecordsKeys(**_signed(home))["escrow"]  # type: ignore[typeddict-item]
    opened = escrow.recombine(
        terms, [escrow.unlock(escrow.read_share(files[each].read_bytes()), PHRASES[each]) for each in OFFICERS[:2]]
    )
    for path in (*whole, *files.values()):
        assert not any(each in path.read_bytes() for each in spellings(opened.raw[:16]))
    drilled = run(
        "escrow", "drill", "--share", files["ben"], "--share", files["chris"], "--keys", keys,
        typed=[PHRASES["ben"], PHRASES["chris"]],
    )  # fmt: skip
    assert drilled.exit_code == 0, drilled.output
    (finding,) = home.drills.iterdir()
    said = verify(finding.read_text(), kind="escrow-drill", keys=keyring(home.keys.identity.public))
    assert (said["officers"], said["threshold"], said["escrow"]) == (["ben", "chris"], 2, opened.kid)
    assert said["records"] == Keystore(keys).sealing.kid
    assert said["time"] <= clock.rfc3339(clock.now())
    alone = run("escrow", "drill", "--share", files["ben"], typed=[PHRASES["ben"]])
    assert alone.exit_code == 1
    assert "2 of 3 officers open together; 1 are here." in alone.output
    assert len(list(home.drills.iterdir())) == 1


@pytest.mark.parametrize(
    ("officers", "threshold", "field"),
    [
        (["anna", "ben"], 3, "threshold"),
        (["anna", "ben"], 1, "threshold"),
        (["anna", "ben"], 0, "threshold"),
        (["anna", "anna"], 2, "officers"),
        (["anna"], 1, "officers"),
        (["anna", "Ben Huber"], 2, "officers"),
    ],
)
def test_an_escrow_that_cannot_be_is_refused_before_anybody_types_a_passphrase(
    home: ClientHome, tmp_path: Path, officers: list[str], threshold: int, field: str
) -> None:
    named = [part for officer in officers for part in ("--officer", officer)]
    places = ["--shares", str(tmp_path), "--keys", str(tmp_path / "keys"), "--threshold", str(threshold)]
    made = CliRunner().invoke(main, ["--home", str(home.directory), "escrow", "create", *named, *places])
    assert made.exit_code == 1
    assert "Passphrase" not in made.output
    assert f"Field:  {field}" in made.output
    assert not list(tmp_path.glob("*.share"))


def test_a_file_that_is_no_package_or_share_is_named(home: ClientHome, tmp_path: Path) -> None:
    wrong, share = tmp_path / "disclosure.json", tmp_path / "anna.share"
    wrong.write_bytes(b'{"v":1}')
    share.write_bytes(b"not a share")
    (tmp_path / "keys").mkdir()
    keys = Keystore(tmp_path / "keys" / "records").create(["sealing"])

    def run(*arguments: object) -> str:
        done = CliRunner().invoke(main, ["--home", str(home.directory), *map(str, arguments)])
        assert done.exit_code in (1, 2)
        return str(done.output)

    assert str(wrong) in run("escrow", "open", wrong, tmp_path / "out", "--share", share)
    assert str(wrong) in run("records", "open", wrong, tmp_path / "out", "--keys", keys.directory)
    assert str(share) in run("escrow", "drill", "--share", share)
    assert "nowhere.package" in run("escrow", "open", tmp_path / "nowhere.package", tmp_path / "o", "--share", share)
    assert not (tmp_path / "out").exists()


def test_a_drill_finds_a_key_that_is_lost(custody: Custody, home: ClientHome, tmp_path: Path) -> None:
    with refusal(Reason.KEY_UNKNOWN):
        ceremonies.drill(home, custody.shares, Keystore(tmp_path / "other").create(["sealing"]))
    assert not home.drills.exists()


def test_packages_are_fetched_and_opened_by_hand(
    decided: Work, custody: Custody, world: World, home: ClientHome, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(client_api, "Session", partial(client_api.Session, transport=world.transport))
    record = Job.objects.get().record
    (tmp_path / "out").mkdir()

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(main, ["--home", str(home.directory), *map(str, arguments)])

    fetched = run("records", "fetch", record, tmp_path / "out")
    assert fetched.exit_code == 0, fetched.output
    sealed, file = tmp_path / "out" / f"{record}.result.package", tmp_path / "disclosure.json"
    opened = run("records", "open", sealed, file, "--keys", custody.keys.directory)
    assert opened.exit_code == 0, opened.output
    assert digest(kept(decided)["result"]) in opened.output.replace("\n", "")
    assert disclosure.parse(file.read_bytes())["record"] == record
    unknown = run("records", "fetch", "C-0000000-1", tmp_path / "out")
    assert (unknown.exit_code, "not-found" in unknown.output) == (1, True)


@pytest.mark.parametrize("handed_in", [True, False])
@pytest.mark.parametrize("ground", ["rotation", "compromise"])
def test_a_changed_key_shuts_no_decision(
    custody: Custody,
    world: World,
    agreed: CheckedDefinition,
    home: ClientHome,
    api: Api,
    ground: str,
    handed_in: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether its result's package had been handed in before, or was only kept and signed for."""
    work = prepare(world, agreed)
    predict.submit(work, api)
    world.compute(agreed)
    if handed_in:
        predict.open_result(home, api, work)
    else:
        with monkeypatch.context() as lost, refusal(Reason.COORDINATOR_UNAVAILABLE):
            lost.setattr(api, "keep_package", Mock(side_effect=Refused(Reason.COORDINATOR_UNAVAILABLE)))
            predict.open_result(home, api, work)
    assert work.package("result") is not None
    changed, new = InstitutionKey.objects.get(institution__slug="long-beach", kind="identity"), SigningKey.generate()
    InstitutionKey.objects.filter(pk=changed.pk).update(revoked=clock.now(), ground=ground)
    InstitutionKey.objects.create(
        institution=changed.institution, kind="identity", key_id=new.kid, public=new.public.b64, enrolled=clock.now()
    )
    monkeypatch.setattr(home.keys, "identity", new)
    assert predict.open_result(home, api, work).text
    assert RecordsPackage.objects.count() == 2


def test_what_could_not_be_written_stands_in_the_log_all_the_same(decided: Work, tmp_path: Path) -> None:
    (folder := tmp_path / "out").mkdir()
    number = Job.objects.get(uuid=decided.job).record
    (folder / f"{number}.result.package").write_text("another")
    handed_out = LogEntry.objects.filter(event=Event.RECORD_HANDED_OUT)
    with pytest.raises(CommandError, match="cannot be written anew"):
        call_command("hand_out_package", number, str(folder), "order 1")
    assert (handed_out.count(), len(list(folder.iterdir()))) == (0, 1)
    (folder / f"{number}.result.package").unlink()
    with (
        patch("compute.management.commands.hand_out_package.write_private", side_effect=OSError(28, "No space left")),
        pytest.raises(CommandError, match="No space left"),
    ):
        call_command("hand_out_package", number, str(folder), "order 1")
    assert handed_out.count() == 1


@pytest.mark.parametrize("ground", ["", " ", "a" * 201, "order\x1b[2J", "one\ntwo"])
def test_a_ground_is_one_line_that_prints(decided: Work, tmp_path: Path, ground: str) -> None:
    (folder := tmp_path / "out").mkdir()
    with pytest.raises(CommandError, match="on one line"):
        call_command("hand_out_package", Job.objects.get(uuid=decided.job).record, str(folder), ground)
    assert not list(folder.iterdir())


def test_another_package_than_the_one_that_we_signed_for_is_not_fetched(
    decided: Work, home: ClientHome, api: Api, tmp_path: Path
) -> None:
    predict.open_result(home, api, decided)
    kept = api.packages(decided.job)[0]
    check_kept(home, decided.request, kept)
    other: Any = kept | {"package": kept["package"].replace("request", "result", 1)}
    for changed, about in (
        (other, decided.request),
        (kept, str(uuid4())),
        (kept | {"stage": "result"}, decided.request),
    ):
        with pytest.raises(Refused) as caught:
            check_kept(home, about, changed)
        assert caught.value.reason is Reason.DIGEST_MISMATCH


def _signed(home: ClientHome) -> dict[str, Any]:
    return peek(home.records_keys)[1]
