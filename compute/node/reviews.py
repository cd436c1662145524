"""The boards' approvals, verified by this node itself against the offline keys that it pinned."""

from datetime import datetime

from compute.node.coordinator import JobDocuments
from compute.node.home import NodeHome
from compute.node.policy import Policy
from compute.node.seen_rosters import SeenRosters
from concordat import protocol
from concordat.definition import Definition
from concordat.review import Reviewed, check_reviewed
from concordat.review_evidence import Reviews, verify_rosters


def check_boards(
    documents: JobDocuments,
    *,
    definition: Definition,
    owner: str,
    home: NodeHome,
    rules: Policy,
    seen: SeenRosters,
    now: datetime,
) -> Reviewed:
    """The definition stays within the protocol that it names, and every site's board has approved that.

    Rosters that were `seen` before count as well, so that an officer whom an institution has struck off stays so.

    Raises:
        Refused: STUDY_NOT_APPROVED for a definition that goes beyond the protocol, and what
            :func:`concordat.review_evidence.verify_rosters` and :func:`concordat.review.check_reviewed` refuse.
    """
    histories = home.pins.histories
    given = verify_rosters(documents["reviews"]["rosters"], histories)
    rosters = (*given, *verify_rosters(seen.tokens(histories), histories))
    seen.remember(given)
    reviewed = check_reviewed(
        Reviews.of(documents["reviews"], rosters),
        protocol=documents["protocol"],
        base=definition["protocol"],
        origin=home.site,
        now=now,
        accept_paper=rules["paper"] == "accept",
    )
    protocol.check_within(
        protocol.check(documents["protocol"]),
        study=definition["study"],
        kind=definition["kind"],
        parties=definition["parties"],
        owner=owner,
        requesters=definition["requesters"],
        purposes=definition["purposes"],
    )
    return reviewed
