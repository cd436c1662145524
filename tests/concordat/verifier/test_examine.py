"""An untouched dossier holds, and says what it could not check."""

import json
import subprocess
import sys

import pytest

from concordat import canonical
from concordat.kinds import KINDS
from concordat.kinds.kind import softmax
from concordat.reasons import Reason, Refused
from concordat.verifier import Options, bundle, paper, verify
from concordat.verifier.__main__ import main
from concordat.verifier.case import Case
from concordat.verifier.evidence import Evidence
from concordat.verifier.examine import Status
from concordat.verifier.report import html
from tests.support.consortium import CLASSES

pytestmark = pytest.mark.django_db


def status(result, name):
    return next(check for check in result.checks if check.name == name)


def test_an_untouched_dossier_holds(made):
    result = verify(made.data)
    assert [check for check in result.checks if check.status is Status.FAILED] == []
    open_questions = {check.name for check in result.checks if check.status is Status.NOT_CHECKABLE}
    assert open_questions == {"anchors", "keys", "disclosure", "witnesses", "time", "chain anchor", "chain approvals"}


def test_the_story_names_who_allowed_it_and_what_was_computed(made):
    story = verify(made.data).story
    assert story["record"] == made.decision.entries["prediction"].record_number
    assert {review["institution"] for review in story["allowed"]["reviews"]} == {"cleveland", "budapest", "zurich"}
    assert [vote["institution"] for vote in story["allowed"]["votes"] if vote["approve"]] == [
        "budapest",
        "cleveland",
        "long-beach",
        "zurich",
    ]
    assert {node["node"] for node in story["computed"]["nodes"]} == {"cleveland", "budapest", "zurich", "notary"}
    assert story["allowed"]["gives_away"] == made.decision.consortium.definition["extraction"]["statement"]
    assert story["shown"][0]["viewer"] == "cardiologist"
    assert story["result"] is None


def test_a_disclosure_shows_the_result_that_its_shares_add_up_to(made):
    result = verify(made.data, Options(disclosure=canonical.encode(made.decision.disclosure)))
    assert result.holds
    assert status(result, "disclosure").status is Status.PASSED
    found = result.story["result"]
    assert (found["target"], found["prediction"], found["log_odds"]) == ("log-odds", "0.7500", "0.7500")
    assert found["probability"] == "0.6792"
    assert found["factors"][0]["coefficient"] == "-1.2500"
    strongest = found["factors"][0]
    assert float(strongest["low"]) <= -1.25 <= float(strongest["high"])
    page = html(result.to_json())
    assert f"<td>{strongest['low']} to {strongest['high']}</td>" in page
    assert "its explanation (" in page
    assert "in log-odds, from" in page
    assert "<strong>0.6792</strong>, as log-odds 0.7500; log-odds of the reference record, by the surrogate" in page
    assert "<caption>Factors, in log-odds compared with the reference record</caption>" in page


def test_a_forests_result_is_told_in_probability_and_has_no_log_odds(dossier_of_a_forest):
    made = dossier_of_a_forest
    result = verify(made.data, Options(disclosure=canonical.encode(made.decision.disclosure)))
    assert result.holds
    assert status(result, "disclosure").status is Status.PASSED
    assert (result.story["computed"]["kind"], result.story["computed"]["target"]) == ("forest", "probability")
    found = result.story["result"]
    assert (found["target"], found["prediction"], found["log_odds"]) == ("probability", "0.7500", None)
    assert found["probability"] == "0.7500"
    page = html(result.to_json())
    assert "in probability, from" in page
    assert "<strong>0.7500</strong>; probability of the reference record, by the surrogate, -0.5000" in page
    assert "Factors, in probability (0.01 is a percentage point) compared with the reference record" in page
    assert "log-odds" not in page


def test_of_several_classes_all_are_told_the_most_probable_one_first(dossier_of_classes):
    made = dossier_of_classes
    result = verify(made.data, Options(disclosure=canonical.encode(made.decision.disclosure)))
    assert result.holds
    consortium, found = made.decision.consortium, result.story["result"]
    log_odds = KINDS["mlp-classes"].forward(consortium.tensors, consortium.vector[None])[0]
    expected = dict(zip(CLASSES, softmax(log_odds), strict=True))
    assert {each["name"]: float(each["probability"]) for each in found["classes"]} == pytest.approx(expected, abs=1e-3)
    assert {each["name"]: float(each["log_odds"]) for each in found["classes"]} == pytest.approx(
        dict(zip(CLASSES, log_odds, strict=True)), abs=1e-3
    )
    assert found["probability"] == max(each["probability"] for each in found["classes"])
    assert found["factors"] == found["classes"][0]["factors"]
    assert all(each["reliable"] is not None for each in found["classes"])
    page, first = html(result.to_json()), found["classes"][0]
    assert '<th scope="col">Log-odds against the average of all classes</th>' in page
    assert page.count("Factors, in log-odds of “") == 3
    assert (
        f"<strong>{first['probability']}</strong>, as log-odds {first['log_odds']}; log-odds of “{first['name']}” "
        "against the average of all classes of the reference record, by the surrogate" in page
    )
    printed = paper.pdf(result.to_json())
    assert printed.startswith(b"%PDF")


def test_a_disclosed_probability_that_is_none_fails(dossier_of_a_forest, monkeypatch):
    made = dossier_of_a_forest
    monkeypatch.setattr("concordat.outputs.PROBABILITY_ERROR", -0.3)  # 0.75 is further out than that
    result = verify(made.data, Options(disclosure=canonical.encode(made.decision.disclosure)))
    assert status(result, "disclosure").reason is Reason.RESULT_OUT_OF_RANGE


def test_a_disclosure_may_open_the_record_too(made):
    disclosed = made.decision.with_record
    result = verify(made.data, Options(disclosure=canonical.encode(disclosed)))
    assert "input and result" in status(result, "disclosure").sentence
    assert result.holds


def test_a_secret_operator_is_known_to_be_the_designs_with_the_record_alone(dossier_of_a_tabular_design):
    made = dossier_of_a_tabular_design
    disclosed = made.decision.disclosure
    result = verify(made.data, Options(disclosure=canonical.encode(disclosed)))
    assert result.holds
    assert status(result, "disclosure").sentence.endswith("only the record can tell.")
    assert (result.story["result"]["adjusted_r_squared"], result.story["result"]["reliable"]) == (None, None)
    assert "it depends on the record, which is not disclosed here" in html(result.to_json())

    disclosed = disclosed | {"inputs": made.decision.prepared.openings[0]}
    result = verify(made.data, Options(disclosure=canonical.encode(disclosed)))
    assert result.holds
    assert status(result, "disclosure").sentence.endswith("is the one that the design gives for the record.")
    assert result.story["result"]["reliable"] in (True, False)
    assert "statistics that their owner states" in status(result, "definition").sentence


def test_a_disclosure_may_travel_inside_the_bundle(made):
    disclosed = made.files | {bundle.DISCLOSURE: canonical.encode(made.decision.disclosure)}
    result = verify(bundle.write(disclosed))
    assert result.holds
    assert result.story["result"] is not None


def test_the_keys_that_a_reader_trusts_are_compared(made):
    kid = made.key.kid
    trusted = {slug: home.keys.identity.kid for slug, home in made.decision.consortium.homes.items()} | {"log": kid}
    assert status(verify(made.data, Options(keys=trusted)), "keys").status is Status.PASSED
    for name in trusted:
        fewer = {slug: key for slug, key in trusted.items() if slug != name}
        missing = status(verify(made.data, Options(keys=fewer)), "keys")
        assert missing.status is Status.NOT_CHECKABLE
        assert f"{name} {trusted[name]}" in missing.sentence
    assert not verify(made.data, Options(keys={"log": "another"})).holds
    assert not verify(made.data, Options(keys={"log": kid, "zurich": kid})).holds


def test_a_chain_that_does_not_answer_proves_nothing(made, forger):
    assert status(verify(made.data, Options(rpc="http://127.0.0.1:1")), "chain anchor").status is Status.NOT_CHECKABLE


def test_the_readable_dossier_is_self_contained_and_runs_nothing(made):
    page = made.files[bundle.HTML].decode()
    assert page.startswith("<!doctype html>")
    assert '<html lang="en">' in page
    assert "self-hosted anchor" in page.lower()
    assert "An estimate by counting, not a proof" in page
    assert not any(part in page for part in ("<script", "http://", "https://", "src=", "onclick"))


def test_the_command_says_each_check_and_exits_accordingly(made, tmp_path, capsys):
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    good.write_bytes(made.data)
    bad.write_bytes(made.data[:-1])
    assert main([str(good), "--html", str(tmp_path / "page.html")]) == 0
    lines = capsys.readouterr().out
    assert "no check failed" in lines
    assert "inclusion" in lines
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "python -m ledger.verify" in page
    assert "python -m concordat.verifier" not in page
    assert main([str(bad), "--json"]) == 1
    assert canonical.decode(capsys.readouterr().out)["holds"] is False


def test_the_command_is_told_what_it_cannot_do(made, tmp_path, capsys):
    good = tmp_path / "good.zip"
    good.write_bytes(made.data)
    for wrong in (["--key", "foo=bar"], ["--html", str(tmp_path / "nowhere" / "page.html")]):
        with pytest.raises(SystemExit) as ended:
            main([str(good), *wrong])
        assert ended.value.code == 2
        assert wrong[1].removesuffix("=bar") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--key", "zurich", "NAME=KEY"),
        ("--key", "=abc", "NAME=KEY"),
        ("--key", "zurich=", "no key id"),
        ("--key", "zurich=kid", "no key id"),
        ("--rpc", "localhost:8545", "http:// or https://"),
        ("--rpc", "", "http:// or https://"),
        ("--rpc", "ftp://chain.example.org", "http:// or https://"),
        ("--rpc", "http://localhost:port", "http:// or https://"),
        ("--rpc", "http://localhost:99999", "http:// or https://"),
        ("--anchor-log", "0x12", "40 hexadecimal digits"),
        ("--anchor-log", "0x5FbDB2315678afecb367f032d93F642f64180aA4", "upper and lower case"),
        ("--anchor-log", "0x5fbdb2315678afecb367f032d93f642f64180aa3", "--rpc"),
    ],
)
def test_a_mistake_of_the_reader_s_is_wrong_usage_and_not_the_dossier_s(made, tmp_path, capsys, option, value, said):
    good = tmp_path / "good.zip"
    good.write_bytes(made.data)
    with pytest.raises(SystemExit) as ended:
        main([str(good), option, value])
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert option in shown
    assert said in shown


def test_that_consent_was_not_withdrawn_says_by_when(made):
    case = Case(Evidence.load(bundle.unpack(made.data)))
    assert case.whole.entries is not None
    last = json.loads(bundle.unpack(made.data)["log.jsonl"].splitlines()[-1])["time"]
    said = f"Consent had not been withdrawn by {last}, when the log had {case.evidence.head.size} entries."
    assert status(verify(made.data), "consent since").sentence == said


def test_a_chain_that_was_named_and_is_silent_has_an_exit_code_of_its_own(forger, tmp_path, monkeypatch):
    def silent(*_):
        raise Refused(Reason.CHAIN_UNAVAILABLE)

    monkeypatch.setattr("concordat.verifier.chain.anchored", silent)
    good = tmp_path / "good.zip"
    good.write_bytes(forger.forge())
    assert main([str(good), "--rpc", "http://127.0.0.1:1"]) == 75
    assert main([str(good)]) == 0


@pytest.mark.parametrize("other", [b"not JSON", b"{}", "another decision's"])
def test_a_disclosure_that_does_not_fit_is_blamed_itself(made, tmp_path, capsys, other):
    disclosed = {**made.decision.disclosure, "record": "C-0000000-1"}
    bundled, file = tmp_path / "good.zip", tmp_path / "disclosure.json"
    bundled.write_bytes(made.data)
    file.write_bytes(other if isinstance(other, bytes) else canonical.encode(disclosed))
    assert main([str(bundled), "--disclosure", str(file), "--html", str(tmp_path / "page.html")]) == 1
    assert "This disclosure does not fit." in (tmp_path / "page.html").read_text()
    said = capsys.readouterr().out
    failed = [line for line in said.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1
    assert "disclosure" in failed[0]
    assert "THE DISCLOSURE DOES NOT FIT" in said


@pytest.mark.parametrize("module", ["ledger.verify", "concordat.verifier"])
def test_the_verifier_runs_without_django(made, tmp_path, module):
    file = tmp_path / "dossier.zip"
    file.write_bytes(made.data)
    program = (
        "import sys, runpy\n"
        "for name in ('django', 'web3', 'celery', 'torch'): sys.modules[name] = None\n"
        f"sys.argv = ['verify', {str(file)!r}]\n"
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
