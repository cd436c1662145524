"""One study from its first draft to its suspension, by people at their browsers; and every shortcut that they try.

What people do, they do on the pages. What no page offers is sent past them, with a signed-in person's own session.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test.utils import override_settings
from playwright.sync_api import Locator, expect

from concordat import clock, votes
from concordat.determination import Path
from concordat.findings import needed
from concordat.keystore import Keystore
from concordat.reasons import Reason
from config.local.supervisor import Supervisor
from governance import acts, selectors
from governance.admin.verbs import VIEWS
from governance.models import AgendaItem, Meeting, Membership, RelianceAgreement, Study
from governance.services import definitions
from governance.states import ItemState, StudyState
from ledger.chain.deploy import deploy
from ledger.models import ChainTransaction, TransactionState
from ledger.services import anchoring
from tests.browser.conftest import Site, Visit
from tests.governance.conftest import PARTIES
from tests.support.browser_people import Person, nothing_changes, refused

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]

Visitor = Callable[..., Visit]

NO_OFFICER = (Reason.ROLE_MISSING, Reason.WRONG_INSTITUTION)
SEATS = {"chair": "scientific", "second": "scientific", "third": "scientific", "lay": "not scientific"}
REPORT = "Forty people were seen; nothing happened that nobody expected."


@dataclass
class Story:
    """The site, the study once there is one, and the people by a word for each."""

    site: Site
    visit: Visitor
    slug: str
    people: dict[str, Person] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    def arrives(self, name: str, slug: str, role: str, *, listed: bool = False) -> Person:
        self.people[name] = Person.arrives(self.site, self.visit(), slug, role, listed=listed)
        return self.people[name]

    @property
    def study(self) -> Study:
        return Study.objects.get(slug=self.slug)

    @property
    def item(self) -> AgendaItem:
        """What the board has last placed."""
        return AgendaItem.objects.filter(review__submission__study=self.study).latest("pk")

    @property
    def chairs(self) -> list[Person]:
        return [self["budapest"], self["cleveland"], self["zurich"]]

    def review(self, board: str) -> str:
        return str(self.site.consortium.review(self.study, board).uuid)

    def page(self, person: Person) -> Locator:
        return person.see(self.site.study_url(self.study))

    def at_item(self, person: Person) -> Locator:
        return person.see(self.site.url("governance_agendaitem_change", self.item.pk))

    def at_verb(self, verb: str) -> str:
        return self.site.url(f"governance_{verb}", self.study.uuid)

    def at_item_verb(self, verb: str) -> str:
        return self.site.url("governance_agendaitem_do", self.item.uuid, verb)

    def board(self, of: str, person: Person) -> Locator:
        self.page(person)
        return person.page.get_by_role("article", name=f"Board of Hospital of {of}").first


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
    zurich.see(story.site.url("index")).get_by_role("link", name="Sign or decline").last.click()
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
    budapest.see(story.site.url("index")).get_by_role("link", name=story.study.title).first.click()
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
    chair = Membership.objects.create(
        user=own.user, institution=story.site.consortium.at["cleveland"], role="irb-chair"
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
    expect(story.page(own)).to_contain_text("study of your own")
    chair.delete()
    cleveland.route(story.study)
    cleveland.approve(story.study)


def long_beach_files_its_local_context(story: Story) -> None:
    relying = story["relying"]
    refused(NO_OFFICER, story["zurich"].ask, "file-local-context", study=str(story.study.uuid), site="long-beach")
    relying.see(story.site.url("index")).get_by_role("link", name="Say what is particular about your site").last.click()
    form = relying.page.get_by_role("form", name="File local context")
    for label in ("Law of the state or country", "The people it sees", "What it has at hand", "Whom to ask"):
        form.get_by_label(label).fill(f"{label}: nothing out of the ordinary.")
    relying.sign(form, "File local context")
    expect(story.board("zurich", relying)).to_contain_text("local context filed")


def zurich_meets(story: Story) -> None:
    office = story.arrives("office", "zurich", "irb-administrator")
    for name in ("second", "lay", "deputy"):
        story.arrives(name, "zurich", "irb-member")
    members = {name: story[name].name for name in ("second", "lay", "deputy")}
    members |= {"chair": story["zurich"].name, "third": story.site.member("zurich", "irb-member").officer.name}
    for name, concerns in SEATS.items():
        give_seat(story, members[name], concerns)
    give_seat(story, members["deputy"], "not scientific", stands_in_for=members["lay"])
    refused(Reason.MEETING_NEEDED, story["zurich"].ask, "determine", review=story.review("zurich"))
    office.see(story.site.url("governance_meeting_add"))
    office.page.get_by_label("Kind").select_option("urgent")
    office.page.get_by_label("Place").fill("Room 1")
    office.press(office.page.get_by_role("main"), "Call meeting")
    office.press(office.page.get_by_role("main"), "Open meeting")
    place(story)


def give_seat(story: Story, name: str, concerns: str, *, stands_in_for: str = "") -> None:
    office = story["office"]
    office.see(story.site.url("governance_board", "zurich"))
    office.page.get_by_label("Give a seat to").select_option(label=name)
    office.page.get_by_label("Primary concerns").select_option(label=concerns)
    if stands_in_for:
        office.page.get_by_label("Stands in for").select_option(label=stands_in_for)
    office.press(office.page.get_by_role("main"), "Give seat")


def place(story: Story) -> None:
    """On the agenda of the meeting that is open; and to the item's page."""
    office, meeting = story["office"], Meeting.objects.filter(board__slug="zurich").latest("pk")
    office.see(story.site.url("governance_meeting_change", meeting.pk))
    office.page.get_by_label("What waits for the convened board").select_option(story.review("zurich"))
    office.press(office.page.get_by_role("main"), "Place on the agenda")


def take_up(story: Story, *present: str) -> None:
    """The item opens once these are marked as present."""
    office = story["office"]
    main = story.at_item(office)
    expect(main).to_contain_text("The board has no quorum.")
    refused(Reason.BOARD_QUORUM_LOST, office.post, story.at_item_verb("open"))
    for name in present:
        main.get_by_label(story[name].name, exact=True).select_option("present")
    office.press(main, "Mark attendance")
    expect(main).to_contain_text("The board has a quorum.")
    office.press(main, "Open item")
    expect(main).to_contain_text("The item is open.")


def vote(story: Story, name: str, **form: str) -> str:
    return story[name].post(story.at_item_verb("vote"), **form)


def a_conflict_costs_the_quorum(story: Story) -> None:
    take_up(story, "zurich", "second", "lay")
    refused(Reason.WRONG_STATE, vote, story, "lay", choice="for")  # there is no motion yet
    lay, main = story["lay"], story.at_item(story["lay"])
    main.get_by_text("Declare a conflict of interest of your own").click()
    main.get_by_label("What ties your hands").fill("A relative works on it.")
    lay.press(main, "Declare conflict")
    assert story.item.state == ItemState.STOPPED
    main = story.at_item(story["office"])
    expect(main).to_contain_text("Nothing is decided.")
    expect(main).to_contain_text("2 of 4 seats present, 3 needed")
    expect(story.at_item(lay)).to_contain_text("You have a stake in this study")
    refused(Reason.MEETING_NEEDED, story["zurich"].ask, "determine", review=story.review("zurich"))


def the_alternate_sits_in_and_the_board_votes(story: Story) -> None:
    office, zurich = story["office"], story["zurich"]
    place(story)
    expect(story.at_item(office)).to_contain_text("has a conflict: absent or recused only")
    take_up(story, "zurich", "second", "deputy")
    main = office.page.get_by_role("main")
    main.get_by_role("radio", name="approved", exact=True).check()
    for code in needed(Path.FULL_BOARD, waiver=False):
        main.locator(f'select[name="finding-{code}"]').select_option("met")
    office.press(main, "Make motion")
    refused(Reason.CONFLICT_OF_INTEREST, vote, story, "lay", choice="against")
    refused(Reason.ROLE_MISSING, vote, story, "office", choice="for")
    refused(Reason.NOT_FOUND, vote, story, "budapest", choice="for")
    refused(Reason.WRONG_STATE, office.post, story.at_item_verb("decide"))
    for name in ("zurich", "second", "deputy"):
        person = story[name]
        person.see(story.site.url("index")).get_by_role("link", name="Vote: the board has taken it up.").click()
        person.page.get_by_role("radio", name="For", exact=True).check()
        person.press(person.page.get_by_role("main"), "Cast ballot")
    refused(Reason.CONFLICT, vote, story, "second", choice="against")
    main = story.at_item(office)
    office.press(main, "Close the vote")
    expect(main).to_contain_text("3 for, 0 against, 0 abstaining, 1 recused.")
    refused(Reason.WRONG_STATE, vote, story, "second", choice="against")
    refused(
        Reason.WRONG_STATE,
        zurich.post,
        story.at_verb("route"),
        review=story.review("zurich"),
        route="expedited 5",
        ground="Quick.",
    )


def the_chair_signs_what_was_voted(story: Story) -> None:
    zurich = story["zurich"]
    refused(NO_OFFICER, story["budapest"].ask, "determine", review=story.review("zurich"))
    refused(Reason.ROLE_MISSING, story["second"].ask, "determine", review=story.review("zurich"))
    zurich.sign(zurich.form(story.study, "Sign the determination"), "Sign the determination")
    board = story.board("zurich", zurich)
    expect(board).to_contain_text("Verifiable by anyone")
    with zurich.page.expect_download() as letter:
        board.get_by_role("link", name="Letter (PDF)").click()
    assert letter.value.path().read_bytes().startswith(b"%PDF-")
    zurich.own.complaints.clear()  # Chromium says of each download that its page was not loaded
    assert story.study.state == StudyState.APPROVED
    expect(story.page(zurich)).to_contain_text("Approved definitions may be computed until")


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
    with nothing_changes():
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
        block = ChainTransaction.objects.get(vote__institution__slug=slug, vote__definition=known).block
        expect(card.get_by_role("row", name=f"Hospital of {slug}")).to_contain_text(f"final, block {block}")
    expect(card.locator(".state").first).to_have_text("approved")


def the_charter_is_attached(story: Story) -> None:
    own = story["investigator"]
    expect(story.page(own).locator("#attachments")).to_contain_text(
        "charter of the study: nothing is computed without it"
    )
    refused(NO_OFFICER, story["zurich"].post, story.at_verb("attach"), kind="charter", institution="")
    part = own.page.locator("#attachments")
    part.get_by_text("Attach a document").click()
    part.get_by_label("Kind").select_option("charter")
    file = {"name": "charter.txt", "mimeType": "text/plain", "buffer": b"Each institution answers for its own node."}
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
    own.see(story.site.url("index")).get_by_role("link", name="The approval has lapsed").click()
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
    own.see(story.site.url("index")).get_by_role("link", name="its boards must reinstate the study").click()
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
