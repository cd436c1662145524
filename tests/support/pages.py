"""The commands of a page, as a reader would give them: indented blocks, and those in Python; and which tests execute
them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/tutorial/*.md")), *sorted(ROOT.glob("docs/how-to/*.md"))]
BEFOREHAND = "<!-- run beforehand -->"


@dataclass(frozen=True)
class Block:
    """`beforehand`: a test has done it already, such as installing."""

    language: Literal["shell", "python"]
    code: str
    beforehand: bool = False


def blocks(page: Path) -> list[Block]:
    """All of a page's, in order; what is fenced off in another language than Python is none."""
    found, before = [], ""
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "code_block":
            found.append(Block("shell", token.content.strip() + "\n", before == BEFOREHAND))
        elif token.type == "fence" and token.info == "python":
            found.append(Block("python", token.content))
        before = token.content.strip()
    return found


def fenced(page: Path, language: str) -> str:
    """The one example in this language."""
    (found,) = [each.content for each in MarkdownIt().parse(page.read_text()) if each.info == language]
    return found


EXECUTED: dict[str, str] = {
    "first-prediction": "tests/e2e/test_pages.py::test_the_tutorial_is_right",
    "answer-a-false-canary": "tests/compute/test_alarms.py::"
    "test_a_cheat_on_the_canary_of_one_request_among_several_is_named",
    "answer-a-person": "tests/concordat/client/test_pages.py::test_answering_a_person_is_described_right",
    "ask-for-a-prediction": "tests/e2e/test_pages.py::test_asking_for_a_prediction_is_described_right",
    "attach-documents": "tests/e2e/test_pages.py::test_attaching_documents_is_described_right",
    "audit-a-model": "tests/e2e/test_pages.py::test_auditing_a_model_is_described_right",
    "back-up-and-restore": "tests/e2e/test_pages.py::test_what_an_operator_does_is_described_right",
    "change-the-consortium": "tests/ledger/test_succession.py::test_changing_a_consortium_is_described_right",
    "connect-an-ehr": "tests/concordat/client/test_pages.py::test_connecting_an_ehr_is_described_right",
    "deploy": "tests/e2e/test_pages.py::test_what_an_operator_does_is_described_right",
    "describe-a-model": "tests/e2e/test_pages.py::test_describing_a_model_is_described_right",
    "import-a-model": "tests/e2e/test_pages.py::test_importing_and_recalling_a_model_are_described_right",
    "join-a-consortium": "tests/concordat/client/test_pages.py::test_joining_a_consortium_is_described_right",
    "produce-a-decision": "tests/browser/test_produce.py::test_a_lawyer_produces_a_decision_as_the_page_says",
    "read-omop-tables": "tests/e2e/test_pages.py::test_reading_omop_tables_is_described_right",
    "recall-a-model": "tests/e2e/test_pages.py::test_importing_and_recalling_a_model_are_described_right",
    "receive-webhooks": "tests/api/test_webhook_page.py::test_an_address_is_registered_and_begun_anew_as_written",
    "reconstruct-a-decision": "tests/browser/test_reconstruct.py::"
    "test_a_lawyer_reconstructs_a_decision_as_the_page_says",
    "reopen-a-decision": "tests/concordat/client/test_pages.py::test_reopening_a_decision_is_described_right",
    "rotate-keys": "tests/concordat/client/test_pages.py::test_rotating_keys_is_described_right",
    "run-a-node": "tests/e2e/test_pages.py::test_running_a_node_is_described_right",
    "show-results-at-the-bedside": "tests/e2e/test_pages.py::test_showing_results_at_the_bedside_is_described_right",
    "train-a-model": "tests/e2e/test_pages.py::test_training_a_model_is_described_right",
    "verify-a-dossier": "tests/e2e/test_pages.py::test_verifying_a_dossier_is_described_right",
    "withdraw-consent": "tests/e2e/test_pages.py::test_withdrawing_a_consent_is_described_right",
}
"""Which test executes a page's commands, each of them, but for what was done beforehand and what is left out."""

LEFT_OUT: dict[str, dict[str, str]] = {
    "README": {"make demo": "the tests themselves, which run what the demonstration runs (tests/e2e/test_main_job.py)"},
    "answer-a-false-canary": {
        "A record with a known": "what a command prints",
        "… The alarm is entry": "what a command prints",
        "budapest: wrong message": "what a command prints",
    },
    "read-omop-tables": {"export PGPASSWORD": "a password for PostgreSQL; the example's tables are in SQLite"},
}
"""Blocks that are not executed, by page and how they begin, and why not."""


class Told:
    """What a page tells, taken block by block by a test that executes it. Nothing may be left at the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._left = [each.code for each in blocks(page(name)) if not each.beforehand]

    def take(self, begins: str) -> str:
        """The one block that begins so and was not taken yet."""
        (found,) = [code for code in self._left if code.startswith(begins)]
        self._left.remove(found)
        return found

    def check_all_taken(self) -> None:
        """Nothing is left but what stands in `LEFT_OUT`."""
        left = [
            code for code in self._left if not any(code.startswith(begins) for begins in LEFT_OUT.get(self.name, ()))
        ]
        assert left == [], f"{self.name}: never executed: {left}"


def page(name: str) -> Path:
    """A page by its name: `README`, or a how-to or tutorial."""
    (found,) = [each for each in PAGES if each.stem == name]
    return found
