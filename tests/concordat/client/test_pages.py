"""What pages tell an institution to type works, as it stands there, against a real coordinator at an address of its
own. What is another institution's, such as its addresses and folders, is put in its place."""

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from compute.models import Job
from concordat import canonical, clock
from concordat.client import predict, recalls
from concordat.client.ehr import READ, WRITE
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.client.keys import OwnKeys
from concordat.client.work import Work
from concordat.enrolment import verify_roster
from concordat.fhir.study import research_study
from concordat.keystore import Keystore
from concordat.passkeys import SoftwarePasskey
from concordat.pins import Pins
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from governance.models import Attachment, Consent, Definition, ProtocolVersion, Study
from tests.concordat.client.conftest import FOLDER, PARTIES, PERSON, PURPOSE, World, prepare
from tests.support import shell
from tests.support.approval import approve
from tests.support.fhir_server_double import CLIENT, fhir_server_double
from tests.support.pages import ROOT, Told, fenced, page
from tests.support.served import Served, served

pytestmark = [pytest.mark.full, pytest.mark.django_db, pytest.mark.timeout(600)]

Typed = Callable[..., str]
FITTED = """
import csv, json
from sklearn.ensemble import GradientBoostingClassifier
from concordat.schema import FeatureSchema
schema = FeatureSchema.from_json(json.load(open("examples/heart_disease/schema.json")))
rows = list(csv.DictReader(open("examples/heart_disease/uci_heart_4_hospitals.csv")))[:300]
patients = [schema.encode_row(schema.from_row(row)).vector for row in rows]
boosted = GradientBoostingClassifier(n_estimators=10).fit(patients, [row["num"] != "0" for row in rows])
"""
LOOK = """
import re, sys, httpx
page = httpx.Client(follow_redirects=True).get(open("link").read().strip()).text
print(*set(re.findall("C-[0-9]{7}-[0-9X]", page)) or sys.exit(re.sub("<[^>]*>", "", page)))
"""
"""The page behind a link, in a browser that has nothing else to do."""


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
    (listed,) = json.loads(told.take('[{"officer"'))
    officers = [{**listed, "credential": passkey.credential, "key": passkey.key}]
    (folder / "officers.json").write_text(json.dumps(officers))
    pins = told.take("import json").replace("sEINgn2R1EJ3Qwye9cNBrC-tBzIY0atg7Le8SBXXTRU", coordinator_key(settings))
    (folder / "told.py").write_text(pins.replace("concordat.example.org/log", settings.LOG_ORIGIN))
    said = typed(
        told.take("concordat --home home init").replace("https://concordat.example.org", coordinator.address),
        "python manage.py enrol geneva.jws",
        "cp geneva.jws enrolments/",
        "python told.py",
        told.take("concordat --home home pin"),
        told.take("concordat --home home login"),
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


def test_importing_a_model_is_described_right(world: World, coordinator: Served, typed: Any) -> None:
    told, folder = Told("import-a-model"), typed.args[0]
    protocol = json.loads((FOLDER / "protocol.json").read_text())
    put_home(world, "cleveland", typed, coordinator.address)
    world.api("cleveland").submit_study(protocol)
    approve(Study.objects.get(slug=protocol["study"]), expires=clock.now() + timedelta(days=90))
    template = json.loads((FOLDER / "definition.template.json").read_text())
    (folder / "template.json").write_text(json.dumps(template | {"result_jurisdictions": ["US", "CH"]}))
    (folder / "training.csv").symlink_to(FOLDER / "uci_heart_4_hospitals.csv")
    (folder / "told.py").write_text(FITTED + told.take("import numpy"))
    imports, proposes = told.take("MODEL="), told.take("DEFINITION=")
    said = typed(
        "python told.py",
        imports,
        "echo $MODEL",
        imports,
        "echo $MODEL",
        told.take("concordat design reference"),
        told.take("concordat design lime-tabular"),
        proposes.replace("examples/heart_disease/definition.template.json", "template.json"),
        told.take("concordat --home home model canaries"),
    )
    first, again, *_ = said.splitlines()
    assert first == again == Definition.objects.get().content["model"]
    assert "8 canaries sealed to each of long-beach." in said
    assert "Approved sha256:" in said
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


def test_recalling_a_model_is_described_right(
    world: World, agreed: CheckedDefinition, coordinator: Served, typed: Any
) -> None:
    told = Told("recall-a-model")
    put_home(world, "cleveland", typed, coordinator.address)
    said = typed(
        f"export CONCORDAT_HOME=home MODEL={agreed.content['model']} DEFINITION={agreed.digest}",
        told.take("echo"),
        told.take("concordat definition revoke"),
        answers=[("Recall it?", "y")],
    )
    assert "The owner's advice: Assess the risk without the model." in said
    assert f"Revoked {agreed.digest}" in said
    recalled = recalls.fetch_model(world.homes["long-beach"], world.api("long-beach"), agreed.content["model"]).recall
    assert recalled is not None
    assert (recalled["reason"], recalled["classification"]) == ("wrong-results", "II")
    told.check_all_taken()


def test_answering_a_person_is_described_right(
    computed: Work, coordinator: Served, at_long_beach: Typed, tmp_path: Path
) -> None:
    """The rule and the hold end, as the page goes, before the person is erased."""
    told = Told("answer-a-person")
    coordinator.put_manage(tmp_path / "folder")
    subject = Consent.objects.get().subject
    export, erase = told.take("concordat subject export").splitlines()
    suspend, resume = told.take("python manage.py suspend_accounting").replace("ministry", "zurich").splitlines()
    rule, listed, end, hold, lift = told.take("python manage.py retention").splitlines()
    year = clock.now().year
    said = at_long_beach(
        f"SUBJECT={subject}",
        export,
        f"SUSPENSION=$({suspend.replace('2026-09', f'{year + 1}-09')} | grep -o '[0-9]*' | head -1)",
        told.take("concordat subject disclosures"),
        resume,
        rule,
        listed,
        f"RULE=$({listed} | cut -d ' ' -f 1)",
        end,
        f"HOLD=$({hold} | grep -o '[0-9]*')",
        f"if {erase.partition('#')[0]} 2> refusal; then exit 9; fi",
        "cat refusal",
        lift,
        erase,
        told.take("concordat subject erasures"),
        answers=[("Erase?", "y"), ("Erase?", "y")],
    )
    assert "legal-hold" in said
    assert "Erased; recorded as C-" in said
    answer = json.loads((tmp_path / "folder/answer.json").read_text())
    assert len(answer["consents"]) == 1
    assert (tmp_path / "folder/account.pdf").read_bytes().startswith(b"%PDF")
    told.check_all_taken()


def test_attaching_documents_is_described_right(
    world: World, agreed: CheckedDefinition, coordinator: Served, typed: Any
) -> None:
    told, folder = Told("attach-documents"), typed.args[0]
    put_home(world, "cleveland", typed, coordinator.address)
    for name in ("agreement.pdf", "charter.pdf"):
        (folder / name).write_text("What both institutions have agreed on.")  # what a file is, its bytes say
    version = ProtocolVersion.objects.get()
    study: Any = version.content | {"title": "Chest pain, as the registry has it"}
    (folder / "research-study.json").write_text(json.dumps(research_study(study, now=clock.now())))
    typed("export CONCORDAT_HOME=home", told.take("concordat study draft"))
    drafted = folder / "protocol.json"
    assert json.loads(drafted.read_text())["title"] == "Chest pain, as the registry has it"
    drafted.write_text(json.dumps(version.content | {"title": "Chest pain, anew"}))  # what is left, filled in
    (folder / "changes.txt").write_text("The title says that it is new.")
    said = typed("export CONCORDAT_HOME=home", told.take("concordat study attach"), told.take("concordat study submit"))
    assert [each.kind for each in Attachment.objects.order_by("pk")] == ["data-use-agreement", "charter"]
    latest = ProtocolVersion.objects.order_by("number").last()
    assert latest is not None
    assert latest.content["title"] == "Chest pain, anew"
    assert latest.digest in said
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
        asks = told.take("concordat predict").replace("decision-support-study", PURPOSE).strip()
        serve = computing(world, agreed, coordinator)
        at_long_beach(
            f"DEFINITION={agreed.digest} CLINICIAN={PERSON} CONSENT={world.consent()}",
            f"REQUEST=$({asks})",
            "concordat open $REQUEST --viewer clinician",
            told.take("concordat fhir send"),
            "concordat fhir send $REQUEST",
            answers=[("id in the health record", patient)],
            serve=serve,
        )
        kinds = [each["resourceType"] for each in server.resources if each not in resources]
        assert sorted(kinds) == ["Observation", "Provenance", "RiskAssessment"]
        scopes = told.take("system/Patient.read").split()
        assert scopes == f"{READ} {WRITE}".split()
    told.check_all_taken()


def test_showing_results_at_the_bedside_is_described_right(
    world: World, agreed: CheckedDefinition, coordinator: Served, at_long_beach: Typed, tmp_path: Path
) -> None:
    """Asked, computed, shown to the health record and taken back; the processes that go on are ended as they should."""
    told, home, folder = Told("show-results-at-the-bedside"), world.homes["long-beach"], tmp_path / "folder"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = json.loads(fenced(page(told.name), "json"))
    own = {"definition": agreed.digest, "purpose": PURPOSE, "address": f"http://127.0.0.1:{port}", "ehrs": []}
    own |= {
        "stale_after_hours": 24 * 365 * 50,
        "keep_days": 365 * 60,
    }  # the example's day stays what it is
    (home.directory / "bedside.json").write_text(json.dumps(config | own))
    bundle = json.loads((FOLDER / "bundle.json").read_text())
    bundle["entry"][0]["resource"]["id"] = "p1"
    (folder / "bundle.json").write_text(json.dumps(bundle))
    (folder / "look.py").write_text(LOOK)
    (folder / "old.txt").write_text("p1\n")
    (folder / "new.txt").write_text("p2\n")
    enqueue, work = told.take("concordat bedside enqueue").splitlines()
    wrong, merged, one = told.take("concordat bedside retract").splitlines()
    said = at_long_beach(
        f"CLINICIAN={PERSON} CONSENT={world.consent()}",
        f"REQUEST=$({enqueue} | tail -1)",
        f"{work} &",
        f"{told.take('concordat bedside serve').replace('8460', str(port)).strip()} &",
        "until concordat bedside link --patient-file old.txt > link && python look.py; do sleep 1; done",
        merged,
        one.replace("--request REQUEST", "--request $REQUEST"),
        wrong,
        answers=[("id in the health record", "p1")],
        serve=computing(world, agreed, coordinator),
    )
    assert re.search(r"^C-\d{7}-[0-9X]$", said, re.MULTILINE), "the page names the decision"
    assert said.count("retracted.") == 3
    told.check_all_taken()
