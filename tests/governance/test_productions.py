"""What is produced in a matter: numbered without a gap, redacted as it says, kept as it was, and verified by others."""

import base64
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from pypdf import PdfReader

from concordat import canonical, clock, record_number
from concordat.events import Event
from concordat.matters import FIELDS
from concordat.reasons import Reason, Refused
from concordat.verifier import bundle, verify
from concordat.verifier.__main__ import main
from governance.models import Institution, Matter, ProducedFile, Production, ProductionItem, Redaction
from governance.services import grants, matters, privilege, productions
from ledger import selectors as ledger
from ledger.models import LogEntry
from ledger.services.publish import publish
from ledger.services.subjects import destroy
from tests.support.decided import Decided
from tests.support.matters import SECRETS, let_in, open_matter

pytestmark = pytest.mark.django_db

LEGEND = "CONFIDENTIAL – SUBJECT TO PROTECTIVE ORDER"


@pytest.fixture
def administrator(decided: Decided) -> User:
    return decided.member("long-beach", "institution-admin")


@pytest.fixture
def reviewer(decided: Decided) -> User:
    return decided.member("long-beach", "legal-reviewer")


@pytest.fixture
def matter(decided: Decided, administrator: User, reviewer: User) -> Matter:
    opened = open_matter(administrator, decided.at["long-beach"], decided.number)
    let_in(administrator, opened, reviewer)
    return opened


def make(matter: Matter, by: User, *, redact: dict[str, str] | None = None) -> Production:
    numbers = [each.record for each in matter.decisions.all()]
    return productions.make(by=by, matter=matter, choices={number: redact or {} for number in numbers})


def files(matter: Matter, by: User, number: int = 1) -> dict[str, bytes]:
    _, data = productions.hand_out(by=by, matter=matter, number=number)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def words(pdf: bytes) -> str:
    return " ".join("\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


def refused(act: Callable[[], object]) -> Refused:
    """It is, and nothing is left of it."""
    before = Production.objects.count(), LogEntry.objects.filter(event=Event.PRODUCTION_MADE).count()
    with pytest.raises(Refused) as caught:
        act()
    assert (Production.objects.count(), LogEntry.objects.filter(event=Event.PRODUCTION_MADE).count()) == before
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def test_a_production_holds_numbered_files_with_their_digests_and_everything_verifies(
    decided: Decided, matter: Matter, reviewer: User, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(matter, reviewer)
    found = files(matter, reviewer)
    lines = table(found["index.csv"])
    assert [line["TITLE"] for line in lines] == ["The dossier as PDF", "The dossier as JSON", "The bundle"]
    assert lines[0]["BEGNO"] == "LBDOE-0000001"
    ends = [0]
    for line in lines:
        content = found[line["FILE"]]
        assert line["SHA256"] == hashlib.sha256(content).hexdigest()
        assert int(line["BEGNO"][-7:]) == ends[-1] + 1
        assert int(line["COUNT"]) == int(line["ENDNO"][-7:]) - ends[-1]
        ends.append(int(line["ENDNO"][-7:]))
        assert line["CONFIDENTIALITY"] == LEGEND
    assert (made.number, made.first, made.last) == (1, 1, ends[-1])
    for line in found["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(found[name]).hexdigest() == digest
    assert len(found["SHA256SUMS"].splitlines()) == len(found) - 1
    path = tmp_path / "produced.zip"
    path.write_bytes(found[lines[2]["FILE"]])
    assert main([str(path)]) == 0
    assert "no check failed" in capsys.readouterr().out
    assert canonical.decode(found[lines[1]["FILE"]]) == verify(path.read_bytes()).to_json()


def test_each_page_bears_the_legend_and_its_number(decided: Decided, matter: Matter, reviewer: User) -> None:
    make(matter, reviewer)
    found = files(matter, reviewer)
    line = table(found["index.csv"])[0]
    pages = PdfReader(io.BytesIO(found[line["FILE"]])).pages
    assert len(pages) == int(line["COUNT"])
    for number, page in enumerate(pages, 1):
        text = page.extract_text()
        assert f"LBDOE-{number:07d}" in text
        assert LEGEND in text
    told = words(found[line["FILE"]])
    assert "Under which authority this was read" in told
    assert "Law Offices of Erika Mustermann" in told


def test_without_a_protective_order_there_is_no_legend(decided: Decided, administrator: User, reviewer: User) -> None:
    matter = open_matter(administrator, decided.at["long-beach"], decided.number, protective_order="")
    let_in(administrator, matter, reviewer)
    make(matter, reviewer)
    found = files(matter, reviewer)
    assert "CONFIDENTIAL" not in words(found[table(found["index.csv"])[0]["FILE"]])
    assert "No protective order" in found["README.txt"].decode()


def test_numbers_go_on_from_one_production_to_the_next(decided: Decided, matter: Matter, reviewer: User) -> None:
    first, second = make(matter, reviewer), make(matter, reviewer)
    assert (second.number, second.first) == (2, first.last + 1)
    found = files(matter, reviewer, 2)
    lines = table(found["index.csv"])
    assert lines[0]["BEGNO"] == f"LBDOE-{second.first:07d}"
    assert f"LBDOE-{second.first:07d}" in words(found[lines[0]["FILE"]])


# --- redaction and privilege


def test_what_is_chosen_and_what_is_marked_is_not_in_any_file_and_the_logs_say_why(
    decided: Decided, matter: Matter, reviewer: User
) -> None:
    privilege.mark(
        by=reviewer, matter=matter, number=decided.number, part="display", ground="work-product", basis="=Counsel's"
    )
    make(matter, reviewer, redact={"request_statement": "minimum-necessary"})
    found = files(matter, reviewer)
    lines = table(found["redaction-log.csv"])
    assert [(line["NUMBER"], line["WHAT"]) for line in lines] == [
        ("RED-0001", FIELDS["request_statement"]),
        ("RED-0002", FIELDS["display"]),
    ]
    assert "164.502(b)" in lines[0]["GROUND"]
    (marked,) = table(found["privilege-log.csv"])
    assert marked["PRIVILEGE"].startswith("Work product")
    assert marked["BASIS"] == "'=Counsel's"  # a spreadsheet takes it for no formula
    assert (marked["TREATMENT"], marked["RECORD"], marked["AUTHOR"]) == ("redacted", decided.number, "long-beach")
    pdf, _, packed = (found[line["FILE"]] for line in table(found["index.csv"]))
    told = words(pdf)
    assert "redacted (Work product (Fed. R. Civ. P. 26(b)(3))), see redaction log RED-0002" in told
    assert "see redaction log RED-0001" in told
    openings = bundle.unpack(packed)["openings.json"].decode()
    assert decided.prepared.token not in openings
    assert "subject" in openings
    opened = {field for fields in canonical.decode(openings.encode())["opened"].values() for field in fields}
    assert not opened & {"request_statement", "display"}
    assert verify(packed).holds
    for content in found.values():
        assert decided.prepared.token.encode() not in content
    assert {(each.field, each.ground) for each in Redaction.objects.all()} == {
        ("request_statement", "minimum-necessary"),
        ("display", "work-product"),
    }


def test_what_holds_a_redacted_field_is_redacted_with_it(decided: Decided, matter: Matter, reviewer: User) -> None:
    """The signed request and the consent name the person's pseudonym."""
    make(matter, reviewer, redact={"subject": "minimum-necessary"})
    found = files(matter, reviewer)
    assert {line["WHAT"] for line in table(found["redaction-log.csv"])} >= {
        FIELDS["subject"],
        FIELDS["request_statement"],
    }
    packed = found[table(found["index.csv"])[2]["FILE"]]
    opened = canonical.decode(bundle.unpack(packed)["openings.json"])["opened"]
    fields = {field for each in opened.values() for field in each}
    assert not fields & {"subject", "request_statement", "consent", "statement"}
    assert "display" in fields
    for content in bundle.unpack(packed).values():
        assert decided.consortium.subject.encode() not in content
        for token in re.findall(rb"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]{20,})\.[A-Za-z0-9_-]+", content):
            assert decided.consortium.subject.encode() not in base64.urlsafe_b64decode(token + b"==")


def test_a_file_that_is_privileged_is_withheld_and_a_whole_decision_leaves_nothing(
    decided: Decided, matter: Matter, reviewer: User
) -> None:
    given = {"number": decided.number, "ground": "attorney-client", "basis": "Annotated by counsel."}
    privilege.mark(by=reviewer, matter=matter, part="json", **given)
    make(matter, reviewer)
    found = files(matter, reviewer)
    assert [line["TITLE"] for line in table(found["index.csv"])] == ["The dossier as PDF", "The bundle"]
    assert [line["TREATMENT"] for line in table(found["privilege-log.csv"])] == ["withheld"]
    privilege.mark(by=reviewer, matter=matter, part="decision", **given)
    assert refused(lambda: make(matter, reviewer)).reason is Reason.FIELD_INVALID


def test_what_another_institution_holds_is_its_own_to_disclose(decided: Decided) -> None:
    """A node was given the request; it does not hand it on."""
    by, reviewer = decided.member("zurich", "institution-admin"), decided.member("zurich", "legal-reviewer")
    Institution.objects.filter(slug="zurich").update(jurisdiction="CH")
    matter = open_matter(by, decided.at["zurich"], decided.number, prefix="ZH")
    let_in(by, matter, reviewer)
    assert productions.redactable(matter, matter.decisions.get()) == ()
    make(matter, reviewer)
    found = files(matter, reviewer)
    lines = table(found["redaction-log.csv"])
    assert {line["WHAT"] for line in lines} >= {FIELDS["subject"], FIELDS["request_statement"]}
    assert all("another institution" in line["GROUND"] for line in lines)
    for name, content in found.items():
        assert decided.prepared.token.encode() not in content, name
        assert decided.consortium.subject.encode() not in content, name
    packed = found[table(found["index.csv"])[2]["FILE"]]
    assert verify(packed).holds
    assert "902(12)" in words(found["certificate-draft.pdf"])


# --- the certificate


def test_the_certificate_is_a_draft_with_every_digest_and_blanks_for_a_person(
    decided: Decided, matter: Matter, reviewer: User
) -> None:
    make(matter, reviewer)
    found = files(matter, reviewer)
    pages = PdfReader(io.BytesIO(found["certificate-draft.pdf"])).pages
    told = words(found["certificate-draft.pdf"])
    assert all("DRAFT, unsigned" in page.extract_text() for page in pages)
    for phrase in (
        "DRAFT, to be completed and signed by a qualified person. Not legal advice.",
        "902(11)",
        "803(6)(A) to (C)",
        "at or near the time",
        "someone with knowledge",
        "regularly conducted activity",
        "regular practice",
        "902(13)",
        "produces an accurate result",
        "902(14)",
        "under penalty of perjury",
        "reasonable written notice",
        "Printed name: ____",
        "Title: ____",
        "Signature: ____",
        "Executed on (date): ____",
    ):
        assert phrase in told, phrase
    unbroken = told.replace(" ", "")
    for line in table(found["index.csv"]):
        assert line["SHA256"] in unbroken
    for name in ("index.csv", "redaction-log.csv", "privilege-log.csv"):
        assert hashlib.sha256(found[name]).hexdigest() in unbroken
    assert reviewer.officer.name not in told


# --- kept, and recorded


def test_the_digest_that_is_logged_is_of_the_very_file_and_the_file_stays_that(
    decided: Decided, matter: Matter, reviewer: User
) -> None:
    made = make(matter, reviewer)
    entry = LogEntry.objects.get(event=Event.PRODUCTION_MADE)
    assert entry.public == {"matter": str(matter.uuid)}
    said = ledger.private_fields(entry)
    assert said["digest"] == made.digest
    assert said["records"] == [decided.number]
    for _ in range(2):
        _, data = productions.hand_out(by=reviewer, matter=matter, number=1)
        assert canonical.digest(data) == made.digest
    taken = LogEntry.objects.filter(event=Event.PRODUCTION_TAKEN)
    assert taken.count() == 2
    assert all(each.public == {"matter": str(matter.uuid)} for each in taken)
    assert ledger.private_fields(taken[0])["reader"] == str(reviewer.officer.uuid)


def test_equal_plans_and_bundles_give_equal_bytes(decided: Decided, matter: Matter, reviewer: User) -> None:
    publish()
    plan = productions._plan(reviewer, matter, {decided.number: {}}, clock.now())
    data = productions._bundle(plan.planned[0], plan.right)
    one, two = (productions.contents.assemble(plan.head, plan.planned, lambda _: data) for _ in range(2))
    assert one.data == two.data


def test_what_is_kept_is_encrypted_and_ends_with_the_matters_key(
    decided: Decided, matter: Matter, reviewer: User
) -> None:
    make(matter, reviewer)
    kept = bytes(ProducedFile.objects.get().sealed)
    for secret in (b"PK\x03\x04", decided.prepared.token.encode(), matter.party.encode()):
        assert secret not in kept
    destroy(institution="long-beach", subject=matter.uuid, ground="the case has ended")
    with pytest.raises(Refused) as caught:
        productions.hand_out(by=reviewer, matter=matter, number=1)
    assert caught.value.reason is Reason.ERASED


def test_who_takes_a_production(decided: Decided, matter: Matter, administrator: User, reviewer: User) -> None:
    make(matter, reviewer)
    other = decided.member("long-beach", "legal-reviewer")
    stranger = decided.member("zurich", "legal-reviewer")
    for by, reason in ((administrator, Reason.ROLE_MISSING), (other, Reason.NOT_FOUND), (stranger, Reason.NOT_FOUND)):
        act = lambda by=by: productions.hand_out(by=by, matter=matter, number=1)  # noqa: E731
        assert refused(act).reason is reason
    assert refused(lambda: productions.hand_out(by=reviewer, matter=matter, number=2)).reason is Reason.NOT_FOUND
    grants.end(by=administrator, grant=str(matter.grants.get().uuid))
    assert refused(lambda: productions.hand_out(by=reviewer, matter=matter, number=1)).reason is Reason.NOT_FOUND
    matters.close(by=administrator, matter=matter)
    assert refused(lambda: make(matter, reviewer)).reason is Reason.NOT_FOUND


def test_what_is_wrong_with_a_choice_is_said_by_field(decided: Decided, matter: Matter, reviewer: User) -> None:
    for choices, field in (
        ({}, "records"),
        ({record_number.format(each): {} for each in range(11)}, "records"),
        ({"C-0000000-1": {}}, "record"),
        ({decided.number: {"display": "shame"}}, "display"),
        ({decided.number: {"display": "other-holder"}}, "display"),
        ({decided.number: {"reader": "minimum-necessary"}}, "field"),
    ):
        act = lambda choices=choices: productions.make(by=reviewer, matter=matter, choices=choices)  # noqa: E731
        assert refused(act).field == field


def test_a_mark_or_another_production_that_comes_meanwhile_is_not_passed_over(
    decided: Decided, matter: Matter, reviewer: User
) -> None:
    real = productions.contents.assemble
    given = {"number": decided.number, "part": "subject", "ground": "attorney-client", "basis": "x"}
    for meanwhile in (
        lambda: privilege.mark(by=reviewer, matter=matter, **given),
        lambda: make(matter, reviewer),
    ):
        turns = [meanwhile]

        def slowly(*args: Any, turns: Any = turns) -> Any:
            made = real(*args)
            if turns:
                turns.pop()()
            return made

        before = Production.objects.count()
        with patch.object(productions.contents, "assemble", slowly), pytest.raises(Refused) as caught:
            make(matter, reviewer)
        assert caught.value.reason is Reason.CONFLICT
        assert Production.objects.count() - before <= 1
    assert [each.number for each in Production.objects.all()] == [1]


class Broken(Exception):
    """The ledger is down, or the machine."""


@pytest.mark.parametrize("where", ["matters.record", "productions.Redaction.objects.bulk_create"])
def test_what_breaks_in_the_middle_leaves_nothing_and_takes_no_number(
    decided: Decided, matter: Matter, reviewer: User, where: str
) -> None:
    with patch(f"governance.services.{where}", side_effect=Broken), pytest.raises(Broken):
        make(matter, reviewer, redact={"subject": "minimum-necessary"})
    for kept in (Production, ProducedFile, ProductionItem, Redaction):
        assert not kept._default_manager.exists()
    assert make(matter, reviewer).first == 1


def test_a_production_is_not_taken_without_its_record(decided: Decided, matter: Matter, reviewer: User) -> None:
    make(matter, reviewer)
    with patch("governance.services.productions.record", side_effect=Broken), pytest.raises(Broken):
        productions.hand_out(by=reviewer, matter=matter, number=1)


@pytest.mark.parametrize("kept", [Production, ProducedFile, ProductionItem, Redaction])
def test_what_was_produced_is_neither_changed_nor_removed(
    decided: Decided, matter: Matter, reviewer: User, kept: Any
) -> None:
    make(matter, reviewer, redact={"subject": "minimum-necessary"})
    column = {ProducedFile: {"sealed": b"x"}, Redaction: {"ground": "confidential"}}.get(kept, {"last": 999})
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        kept.objects.update(**column)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        kept.objects.all()._raw_delete(using="default")


def test_the_database_leaves_no_gap_in_numbers(decided: Decided, matter: Matter, reviewer: User) -> None:
    made = make(matter, reviewer)
    fair = {"number": 2, "first": made.last + 1, "last": made.last + 3}
    same = {"matter": matter, "digest": made.digest, "made_by": made.made_by, "made": made.made}
    for changes in ({"number": 3}, {"first": made.last + 2}, {"first": made.last}):
        with pytest.raises(DatabaseError, match="gapless"), transaction.atomic():
            Production.objects.create(**same | fair | changes)
    assert Production.objects.create(**same | fair)
