"""One study from its first draft to its suspension, by people at their browsers; and every shortcut that they try.

What people do, they do on the pages. What no page offers is sent past them, with a signed-in person's own session.
"""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test.utils import override_settings
from playwright.sync_api import expect

from concordat import clock, votes
from concordat.keystore import Keystore
from concordat.reasons import Reason
from config.local.supervisor import Supervisor
from governance import acts, selectors
from governance.admin.verbs import VIEWS
from governance.models import DefinitionVote, RelianceAgreement, Study
from governance.services import definitions, people
from governance.states import StudyState
from ledger.chain.deploy import deploy
from ledger.models import ChainTransaction, TransactionState
from ledger.services import anchoring
from tests.browser.conftest import Site
from tests.governance.conftest import PARTIES
from tests.support.browser_people import nothing_changes, refused
from tests.support.story import NO_OFFICER, Story, Visitor
from tests.support.story_of_a_meeting import (
    a_conflict_costs_the_quorum,
    the_alternate_sits_in_and_the_board_votes,
    the_chair_signs_what_was_voted,
    zurich_meets,
)

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

REPORT = "Forty people were seen; nothing happened that nobody expected."


def test_a_study_from_its_first_draft_to_its_suspension(site: Site, visit: Visitor) -> None:
    protocol = site.protocol(attachments=[{"kind": "charter", "institution": ""}])
    story = Story(site, visit, protocol["study"])
    for name in PARTIES:
        story.arrives(name, name, "irb-chair", listed=True)
    story.arrives("relying", "long-beach", "institution-admin", listed=True)
    story.arrives("investigator", "cleveland", "investigator")
    story.arrives("auditor", "zurich", "auditor")
    long_beach_relies_on_zurich(story)
    the_investigator_uploads_and_submits(story, protocol)
    two_boards_review_alone(story)
    long_beach_files_its_local_context(story)
    zurich_meets(story)
    a_conflict_costs_the_quorum(story)
    the_alternate_sits_in_and_the_board_votes(story)
    the_chair_signs_what_was_voted(story)
    nobody_without_the_role_does_anything(story)
    the_institutions_vote_on_chain(story)
    the_charter_is_attached(story)
    a_minor_amendment_is_approved(story)
    the_approval_lapses(story)
    the_boards_review_it_again(story)
    a_chair_suspends_it_from_a_telephone(story)
    only_the_boards_bring_it_back(story)


def long_beach_relies_on_zurich(story: Story) -> None:
    relying, zurich = story["relying"], story["zurich"]
    agreements = story.site.url("governance_relianceagreement_changelist")
    relying.see(agreements).get_by_text("Propose an agreement", exact=True).click()
    form = relying.page.get_by_role("form", name="Propose an agreement")
    form.get_by_label("On whose board").select_option("zurich")
    form.get_by_label("Short name of the one study").fill(story.slug)
    form.get_by_label("Who is responsible for what").fill("The reviewing board decides.")
    form.get_by_label("Until").fill("2099-01-01")
    relying.sign(form, "Propose the agreement")
    agreement = RelianceAgreement.objects.get(study=story.slug)
    refused(NO_OFFICER, story["budapest"].ask, "accept-reliance", agreement=str(agreement.uuid))
    refused(NO_OFFICER, relying.ask, "accept-reliance", agreement=str(agreement.uuid))
    zurich.task("Sign or decline", story.slug)
    card = zurich.page.locator(f"#agreement-{agreement.uuid}")
    zurich.sign(card.get_by_role("form", name="Accept"), "Accept the agreement")
    expect(zurich.page.locator(f"#agreement-{agreement.uuid}")).to_contain_text("in force")


def the_investigator_uploads_and_submits(story: Story, protocol: dict[str, object]) -> None:
    own = story["investigator"]
    own.see(story.site.url("governance_draft_new"))
    file = {"name": "protocol.json", "mimeType": "application/json", "buffer": json.dumps(protocol).encode()}
    own.page.get_by_label("Protocol (JSON)").set_input_files(file)  # type: ignore[arg-type]
    own.press(own.page.get_by_role("main"), "Upload")
    expect(own.page.get_by_role("main")).to_contain_text("The file is saved as a draft.")
    for other in (story["zurich"], story["auditor"]):
        assert other.page.request.get(story.site.study_url(story.study)).url != story.site.study_url(story.study)
    own.page.get_by_label("What you report to the boards with it").fill("The first submission.")
    own.press(own.page.get_by_role("main"), "Submit to the boards")
    expect(own.page.get_by_role("main")).to_contain_text("Submitted. The boards of all sites have been told.")
    assert story.study.versions.get().content == protocol
    assert {review.board.slug for review in story.study.submissions.get().reviews.all()} == set(PARTIES)


def two_boards_review_alone(story: Story) -> None:
    budapest, cleveland, own = story["budapest"], story["cleveland"], story["investigator"]
    budapest.task("Choose how your board reviews it", story.slug)
    expect(budapest.page.get_by_role("form", name="Choose the path of review")).to_be_visible()
    budapest.route(story.study)
    refused(NO_OFFICER, cleveland.ask, "determine", review=story.review("budapest"), outcome="approved")
    refused(
        Reason.OUTCOME_NOT_ALLOWED,
        budapest.ask,
        "determine",
        review=story.review("budapest"),
        outcome="disapproved",
        reasons="No.",
    )
    signed = budapest.approve(story.study)
    refused(Reason.CONFLICT, budapest.sign_again, signed)
    refused(Reason.NOT_FOUND, cleveland.sign_again, signed)
    refused(Reason.WRONG_STATE, budapest.ask, "determine", review=story.review("budapest"), outcome="approved")
    expect(story.board("budapest", budapest)).to_contain_text("Verifiable by anyone")
    # Whoever submits is no reviewer of it, in whatever role.
    chair = people.add_member(
        email=own.user.username, name=own.name, institution=story.site.consortium.at["cleveland"], role="irb-chair"
    )
    refused(Reason.SELF_REVIEW, own.ask, "determine", review=story.review("cleveland"), outcome="approved")
    refused(
        Reason.SELF_REVIEW,
        own.post,
        story.at_verb("route"),
        review=story.review("cleveland"),
        route="expedited 5",
        ground="My own study.",
    )
    expect(story.page(own)).to_contain_text("Nobody reviews a study of their own.")
    chair.delete()
    cleveland.route(story.study)
    cleveland.approve(story.study)


def long_beach_files_its_local_context(story: Story) -> None:
    relying = story["relying"]
    refused(NO_OFFICER, story["zurich"].ask, "file-local-context", study=str(story.study.uuid), site="long-beach")
    relying.task("Say what is particular about your site", story.slug)
    form = relying.page.get_by_role("form", name="File local context")
    for label in ("Law of the state or country", "The people it sees", "What it has at hand", "Whom to ask"):
        form.get_by_label(label).fill(f"{label}: nothing out of the ordinary.")
    relying.sign(form, "File local context")
    expect(story.board("zurich", relying)).to_contain_text("local context filed")


def nobody_without_the_role_does_anything(story: Story) -> None:
    """An auditor reads. Whatever else is posted in their name is refused."""
    auditor, study = story["auditor"], story.study
    given = {
        "study": str(study.uuid),
        "institution": "zurich",
        "review": story.review("zurich"),
        "agreement": str(RelianceAgreement.objects.get(study=story.slug).uuid),
        "site": "long-beach",
        "board": "zurich",
        "relying": "zurich",
        "reviewing": "budapest",
        "ends": "2099-01-01T00:00:00Z",
        "ground": "Because.",
        "report": "Nothing.",
    }
    for act in acts.ACTS:
        with nothing_changes():
            assert auditor.ask(act, **given), act
    for _, verb, _ in VIEWS:
        refused(NO_OFFICER, auditor.post, story.at_verb(verb), **given, route="exempt 4")
    for verb in ("open", "move", "vote", "decide", "stop", "attend", "take-off"):
        refused(NO_OFFICER, auditor.post, story.at_item_verb(verb), **given, choice="for")
    for verb in ("give-seat", "declare"):
        address = story.site.url("governance_board_do", "zurich", verb)
        refused(NO_OFFICER, auditor.post, address, **given)
    expect(story.page(auditor)).to_contain_text("Your role reads. Nothing here waits for you.")


def the_institutions_vote_on_chain(story: Story) -> None:
    """Signed by each institution's own key, relayed to a registry on a chain, and shown as the chain has it."""
    made, stack = story.site.consortium, story.site.stack
    known = made.register(made.content(story.study, made.import_model()))
    account = Keystore(stack.keys).chain
    stack.fund = account.address
    expect(story.page(story["zurich"])).to_contain_text("No vote yet.")
    with Supervisor(stack.logs) as chain:
        chain.start(stack.chain())
        members = [made.keys[slug].chain for slug in (*PARTIES, "long-beach")]
        deployed = deploy(
            rpc_url=stack.chain_url,
            chain_id=stack.chain_id,
            deployer=account,
            submitters=[account.address],
            institutions=[key.address for key in members],
            quorum=3,
        )
        with override_settings(
            CHAIN_RPC=stack.chain_url,
            CHAIN_ID=stack.chain_id,
            ANCHOR_ADDRESS=deployed.anchor_address,
            REGISTRY_ADDRESS=deployed.registry_address,
        ):
            for slug, key in zip((*PARTIES, "long-beach"), members, strict=True):
                nonce = selectors.next_nonce(key.address)
                deadline = int((clock.now() + timedelta(hours=1)).timestamp())
                cast = votes.Vote(known.digest, True, key.address, nonce, deadline)
                definitions.relay_vote(vote=votes.write(cast, slug, key, domain=anchoring.registry_domain()))
            card = story.page(story["zurich"]).get_by_label(f"Definition {known}")
            expect(card.get_by_role("row", name="Hospital of zurich")).to_contain_text("queued")
            expect(card).to_contain_text("registered")
            unsettled = [TransactionState.QUEUED, TransactionState.SENT, TransactionState.MINED]
            while ChainTransaction.objects.filter(state__in=unsettled).exists():
                anchoring.send()
                anchoring.settle()
            assert anchoring.chain_client().authorisation(known.digest).authorised
    card = story.page(story["zurich"]).get_by_label(f"Definition {known}")
    for slug in (*PARTIES, "long-beach"):
        block = DefinitionVote.objects.get(institution__slug=slug, definition=known).transaction.block
        expect(card.get_by_role("row", name=f"Hospital of {slug}")).to_contain_text(f"final, block {block}")
    expect(card.locator(".state").first).to_have_text("approved")


def the_charter_is_attached(story: Story) -> None:
    own = story["investigator"]
    expect(story.page(own).locator("#attachments")).to_contain_text(
        "charter of the study: nothing is computed without it"
    )
    part = own.page.locator("#attachments")
    part.get_by_text("Attach a document").click()
    part.get_by_label("Kind").select_option("charter")
    file = {"name": "charter.txt", "mimeType": "text/plain", "buffer": b"Each institution answers for its own node."}
    refused(NO_OFFICER, story["zurich"].post, story.at_verb("attach"), kind="charter", institution="", file=file)
    part.get_by_label("File").set_input_files(file)  # type: ignore[arg-type]
    own.press(part, "Attach")
    expect(own.page.locator("#attachments")).to_contain_text("charter.txt")
    expect(own.page.locator("#attachments")).not_to_contain_text("nothing is computed without it")


def a_minor_amendment_is_approved(story: Story) -> None:
    own = story["investigator"]
    own.see(story.site.url("governance_draft", story.study.uuid))
    own.page.get_by_label("Summary").fill("Whether an explained prediction helps, in plainer words.")
    own.press(own.page.get_by_role("main"), "Save and check")
    change = own.page.get_by_role("article", name="Summary")
    expect(change).to_contain_text("minor")
    own.page.get_by_label("What you report to the boards with it").fill("Only the summary is new.")
    own.press(own.page.get_by_role("main"), "Submit to the boards")
    for chair in story.chairs:
        story.page(chair)
        change = chair.page.get_by_role("article", name="Summary")
        expect(change.locator("ins")).to_contain_text("in plainer words")
        form = chair.form(story.study, "Sign the determination")
        expect(form.get_by_role("radio", name="Disapprove")).to_have_count(0)
        chair.approve(story.study)
    assert story.study.state == StudyState.APPROVED
    assert story.study.in_force == story.study.versions.get(number=2)
    expect(story.page(own).get_by_role("region", name="In short")).to_contain_text("Version 2, which is in force")


def the_approval_lapses(story: Story) -> None:
    """The clock of another process cannot be moved from here; the end of the approval can."""
    own, epoch = story["investigator"], story.study.epoch
    Study.objects.filter(slug=story.slug).update(expires=clock.now() - timedelta(minutes=1))
    call_command("tick")
    assert (story.study.state, story.study.epoch) == (StudyState.EXPIRED, epoch + 1)
    expect(story.page(own)).to_contain_text("Nothing is computed. The investigators ask the boards for another period")
    for person in (own, story["zurich"], story["relying"]):
        messages = person.see(story.site.url("notifications"))
        expect(messages).to_contain_text(f"The approval of “{story.study.title}” has lapsed")


def the_boards_review_it_again(story: Story) -> None:
    own = story["investigator"]
    refused(NO_OFFICER, story["zurich"].post, story.at_verb("continue_review"), report=REPORT)
    refused(Reason.FIELD_MISSING, own.post, story.at_verb("continue_review"), report=" ")
    own.task("The approval has lapsed", story.slug)
    form = own.page.get_by_role("form", name="Ask for continuing review")
    form.get_by_label("Progress report").fill(REPORT)
    own.press(form, "Ask the boards")
    for chair in story.chairs:
        expect(story.page(chair)).to_contain_text(REPORT)
        chair.route(story.study)
        chair.approve(story.study)
    assert story.study.state == StudyState.APPROVED
    expect(story.page(own)).to_contain_text("Approved definitions may be computed until")


def a_chair_suspends_it_from_a_telephone(story: Story) -> None:
    chair, epoch = story["budapest"], story.study.epoch
    stop = {"study": str(story.study.uuid), "institution": "budapest"}
    refused(Reason.FIELD_MISSING, chair.ask, "suspend", **stop, ground=" ")
    refused(NO_OFFICER, chair.ask, "suspend", **stop | {"institution": "zurich"}, ground="Theirs.")
    refused(Reason.ROLE_MISSING, story["second"].ask, "suspend", **stop | {"institution": "zurich"}, ground="No.")
    chair.page.set_viewport_size({"width": 390, "height": 844})
    form = chair.form(story.study, "Suspend the study")
    assert not chair.own.scrolls_sideways()
    form.get_by_label("Ground").fill("A result was shown to the wrong ward.")
    chair.sign(form, "Suspend the study")
    expect(chair.page.get_by_role("main")).to_contain_text("Nothing is computed.")
    assert (story.study.state, story.study.epoch) == (StudyState.SUSPENDED, epoch + 1)
    assert not chair.own.scrolls_sideways()


def only_the_boards_bring_it_back(story: Story) -> None:
    own, chair = story["investigator"], story["budapest"]
    refused(Reason.WRONG_STATE, own.post, story.at_verb("continue_review"), report=REPORT)
    own.task("its boards must reinstate the study", story.slug)
    own.page.get_by_label("What you report to the boards with it").fill("The ward's screen was replaced.")
    own.press(own.page.get_by_role("main"), "Submit to the boards")
    expect(own.page.get_by_role("main")).to_contain_text("The reinstatement waits for")
    refused(
        Reason.FIELD_INVALID,
        chair.post,
        story.at_verb("route"),
        review=story.review("budapest"),
        route="expedited 9",
        ground="Quick.",
    )
    refused(Reason.MEETING_NEEDED, chair.ask, "determine", review=story.review("budapest"), outcome="approved")
    assert story.study.state == StudyState.SUSPENDED
