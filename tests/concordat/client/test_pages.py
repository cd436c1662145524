"""What pages tell an institution to type works, as it stands there, against a real coordinator at an address of its
own. What is another institution's, such as its addresses and folders, is put in its place."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from compute.models import Job
from concordat import canonical
from concordat.client import predict
from concordat.client.ehr import READ, RETRACT, WRITE
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.client.keys import OwnKeys
from concordat.client.work import Work
from concordat.enrolment import verify_roster
from concordat.keystore import Keystore
from concordat.passkeys import SoftwarePasskey
from concordat.pins import Pins
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from governance.models import Consent
from tests.concordat.client.conftest import FOLDER, PARTIES, PERSON, PURPOSE, World, prepare
from tests.support import shell
from tests.support.fhir_server_double import CLIENT, fhir_server_double
from tests.support.pages import ROOT, Told
from tests.support.served import Served, served

pytestmark = [pytest.mark.full, pytest.mark.django_db, pytest.mark.timeout(600)]

Typed = Callable[..., str]


@pytest.fixture
def coordinator(away: None, settings: Any) -> Iterator[Served]:
    with served(settings) as running:
        yield running


@pytest.fixture
def typed(coordinator: Served, tmp_path: Path) -> Typed:
    """What a shell prints when these lines are typed in a folder that has the repository's examples."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    return partial(shell.typed, folder, serve=coordinator.serve)


def put_home(world: World, slug: str, typed: Any, address: str, name: str = "home") -> ClientHome:
    """An institution's folder where pages have it."""
    home = world.homes[slug]
    ClientHome.create(home.directory, {"institution": slug, "coordinator": address})
    node = {"institution": slug, "coordinator": address, "broker": "redis://127.0.0.1:1/0", "rpc": "http://127.0.0.1:1"}
    (home.directory / "node.json").write_bytes(canonical.encode(node))
    (typed.args[0] / name).symlink_to(home.directory)
    return home


def test_joining_a_consortium_is_described_right(
    world: World, coordinator: Served, typed: Any, settings: Any, tmp_path: Path
) -> None:
    """A further institution, with the keys of this consortium in its pins, and a passkey of an officer of its own."""
    told, folder = Told("join-a-consortium"), tmp_path / "folder"
    coordinator.put_manage(folder)
    (folder / "enrolments").mkdir()
    for slug, token in world.homes["zurich"].pins.document["enrolments"].items():
        (folder / f"enrolments/{slug}.jws").write_text(token)
    passkey = SoftwarePasskey.create("localhost", settings.BASE_URL)
    officers = told.take("cat > officers.json").replace('"credential": "…"', f'"credential": "{passkey.credential}"')
    pins = told.take("python -").replace("sEINgn2R1EJ3Qwye9cNBrC-tBzIY0atg7Le8SBXXTRU", coordinator_key(settings))
    said = typed(
        told.take("concordat --home home init").replace("https://concordat.example.org", coordinator.address),
        "python manage.py enrol geneva.jws",
        "cp geneva.jws enrolments/",
        pins.replace("concordat.example.org/log", settings.LOG_ORIGIN),
        told.take("concordat --home home pin"),
        told.take("concordat --home home login"),
        officers.replace('"key": "…"', f'"key": "{passkey.key}"'),
        told.take("concordat --home home roster").replace("/media/offline", "home/keys"),
    )
    assert "\ngeneva\tidentity " in said
    assert "\ncoordinator\tidentity " in said
    assert "Signed in at" in said
    assert said.endswith("Version 1 is in force.\n")
    offline = Keystore(folder / "home/keys").offline.public
    roster = verify_roster((folder / "roster.jws").read_text().strip(), institution="geneva", offline=offline)
    assert [each["key"] for each in roster.document["officers"]] == [passkey.key]
    told.check_all_taken()


def coordinator_key(settings: Any) -> str:
    return Keystore(settings.KEYS_DIR).identity.public.b64


def test_rotating_keys_is_described_right(world: World, coordinator: Served, typed: Any) -> None:
    told, folder = Told("rotate-keys"), typed.args[0]
    home = put_home(world, "long-beach", typed, coordinator.address)
    medium = folder / "medium"
    medium.mkdir(mode=0o700)
    (home.directory / "keys" / "offline.pem").rename(medium / "offline.pem")
    put_home(world, "zurich", typed, coordinator.address, "node")
    key = ECKey.generate_key("P-384", {"alg": "ES384", "use": "sig"}, auto_kid=True)
    (folder / "public.json").write_text(json.dumps(key.as_dict(private=False)))
    others = [ECKey.generate_key("P-384", {"alg": "ES384", "use": "sig", "kid": name}) for name in ("ehr", "engine")]
    (folder / "jwks.json").write_text(json.dumps({"keys": [each.as_dict(private=False) for each in others]}))
    shown, change, sign_in = (
        told.take(f"concordat --home home keys {begins}").replace("/media/offline", "medium")
        for begins in ("show", "rotate", "sign-in")
    )
    update, of_node = told.take("concordat --home home pin --update").splitlines()
    said = typed(update, sign_in, change, shown, of_node.replace("--home home", "--home node"))
    assert [line.split(":")[1].strip() for line in said.splitlines() if line.startswith("Key change")] == [
        "client, rotation.",
        "client, rotation.",
        "client, rotation.",
        "sealing, rotation.",
        "identity, compromise.",
        "client, compromise.",
    ]
    kept = Keystore(home.directory / "keys")
    believed = Pins.load(world.homes["zurich"].directory)
    assert believed.identity("long-beach") == kept.identity.public
    assert believed.history("long-beach").live("client") is None

    def away(_: str) -> None:
        raise Refused(Reason.COORDINATOR_UNAVAILABLE)

    offline = Keystore(medium).offline
    with pytest.raises(Refused):
        OwnKeys(home.directory, "long-beach", kept, away).rotate("chain", ground="rotation", offline=offline)
    assert "Key change 7 is recorded: chain, rotation." in typed(told.take("concordat --home home keys resume"))
    told.check_all_taken()


@pytest.fixture
def at_long_beach(world: World, coordinator: Served, typed: Typed) -> Typed:
    """In the requester's folder, with what a reader has found out by then."""
    put_home(world, "long-beach", typed, coordinator.address)
    return partial(typed, environment={"CONCORDAT_HOME": "home"})


def computing(world: World, definition: CheckedDefinition, coordinator: Served) -> Callable[[], None]:
    """Serves, and computes what was asked."""

    def serve() -> None:
        coordinator.serve()
        for job in Job.objects.filter(state=JobState.AUTHORISED):
            world.compute(definition, of=str(job.request_uuid))

    return serve


def test_answering_a_person_is_described_right(
    computed: Work, coordinator: Served, at_long_beach: Typed, tmp_path: Path
) -> None:
    """In the order of the page; while rule and hold last, the person is not erased."""
    told, folder = Told("answer-a-person"), tmp_path / "folder"
    coordinator.put_manage(folder)
    (folder / "var/mine").mkdir(parents=True)
    subject = Consent.objects.get().subject
    erase = told.take("concordat subject erase")
    duties = told.take("RULE=")
    lifted = "python manage.py legal_hold lift"
    said = at_long_beach(
        f"SUBJECT={subject}",
        told.take("concordat subject export"),
        told.take("concordat subject disclosures"),
        told.take("SUSPENSION=").replace("ministry", "zurich"),
        duties.replace(lifted, f"if {erase.strip()} 2> refusal; then exit 9; fi\ncat refusal\n{lifted}"),
        erase,
        told.take("concordat subject erasures"),
        answers=[("Erase?", "y"), ("Erase?", "y")],
    )
    assert "legal-hold" in said
    assert "Erased; recorded as C-" in said
    answer = json.loads((folder / f"var/mine/{subject}.json").read_text())
    assert len(answer["consents"]) == 1
    assert (folder / "var/mine/account.pdf").read_bytes().startswith(b"%PDF")
    told.check_all_taken()


def test_reopening_a_decision_is_described_right(
    world: World, agreed: CheckedDefinition, coordinator: Served, at_long_beach: Typed, tmp_path: Path
) -> None:
    told, folder = Told("reopen-a-decision"), tmp_path / "folder"
    media, keys = tmp_path / "media", world.homes["long-beach"].directory / "keys"
    (media / "offline").mkdir(parents=True, mode=0o700)
    (media / "case").mkdir()
    (keys / "offline.pem").rename(media / "offline/offline.pem")
    coordinator.put_manage(folder)

    def here(code: str) -> str:
        return code.replace("/media", str(media)).replace("/tmp/case", str(tmp_path / "case"))

    officers = [(f"assphrase of {each}", f"{each} has a passphrase") for each in ("anna", "ben", "chris")]
    twice = [each for officer, word in officers for each in ((officer, word), ("confirmation", word))]
    at_long_beach(here(told.take("mkdir -p /media/shares")), answers=twice)
    work = prepare(world, agreed)
    predict.submit(work, world.api("long-beach"))
    world.compute(agreed)
    record = predict.open_result(world.homes["long-beach"], world.api("long-beach"), work).record
    shutil.rmtree(work.folder)
    shares = {each: str(next((media / "shares").glob(f"*.{each}.share"))) for each in ("anna", "ben", "chris")}
    begins = ("mkdir -m 700 /tmp/case", "cd /tmp/case", "concordat --home home escrow drill")
    fetch, reopen, drill = (here(told.take(each)).replace("C-0000042-3", record) for each in begins)
    for officer, file in shares.items():
        reopen, drill = (code.replace(f"{officer}.share", file) for code in (reopen, drill))
    anna, ben, chris = officers
    said = at_long_beach(fetch, drill, reopen, answers=[anna, chris, anna, ben])
    assert "anna, chris opened a canary package" in said
    expected = json.loads((tmp_path / "case/disclosure.json").read_text())
    assert json.loads((tmp_path / "case/the-same.json").read_text()) == expected
    assert set(expected["outputs"]) == set(PARTIES)
    told.check_all_taken()


def test_connecting_an_ehr_is_described_right(
    world: World, agreed: CheckedDefinition, coordinator: Served, at_long_beach: Typed
) -> None:
    told, home = Told("connect-an-ehr"), world.homes["long-beach"]
    key = json.loads(at_long_beach(told.take("concordat fhir jwks")))["keys"][0]
    bundle = json.loads((FOLDER / "bundle.json").read_text())
    resources = [{"id": f"r{number}"} | each["resource"] for number, each in enumerate(bundle["entry"])]
    (patient,) = [each["id"] for each in resources if each["resourceType"] == "Patient"]
    for each in resources:
        each |= {"subject": {"reference": f"Patient/{patient}"}} if "subject" in each else {}
    with fhir_server_double(ECKey.import_key(key), resources) as server:
        config = json.loads(told.take("{"))
        config |= {"base": server.base, "token": server.token, "client": CLIENT}
        (home.directory / "ehr.json").write_text(json.dumps(config))
        asks = told.take("REQUEST=").replace("decision-support-study", PURPOSE)
        serve = computing(world, agreed, coordinator)
        at_long_beach(
            f"DEFINITION={agreed.digest} CLINICIAN={PERSON} CONSENT={world.consent()}",
            asks,
            told.take("concordat open"),
            "concordat fhir send $REQUEST",
            told.take("concordat fhir written"),
            answers=[("id in the health record", patient)],
            serve=serve,
        )
        kinds = [each["resourceType"] for each in server.resources if each not in resources]
        assert sorted(kinds) == ["Observation", "Provenance", "Provenance", "RiskAssessment"]
        (assessment,) = [each for each in server.resources if each["resourceType"] == "RiskAssessment"]
        assert assessment["status"] == "entered-in-error"
        scopes = told.take("system/Patient.read").split()
        assert scopes == f"{READ} {WRITE} system/RiskAssessment.read".split()
        assert set(RETRACT.split()) <= set(scopes)
    told.check_all_taken()
