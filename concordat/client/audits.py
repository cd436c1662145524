"""The figures of an audit of ours, opened here and nowhere else."""

from dataclasses import dataclass

from concordat import figures
from concordat.client import many
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.client.work import CohortWork
from concordat.figures import Figures
from concordat.witnesses import Witnessed


@dataclass(frozen=True)
class OpenedAudit:
    """Verified figures, their record number, how many log entries the proof covers, and how many witnesses had cosigned
    that head by then."""

    figures: Figures
    record: str
    log_size: int
    witnessed: Witnessed


def open_result(home: ClientHome, api: Api, work: CohortWork) -> OpenedAudit:
    """Fetch, verify and open the counts. Nothing is added up before receipts, ticket and log are verified.

    Raises:
        Refused: as `many.check`; what `figures.open_counts` refuses.
    """
    checked = many.check(home, api, work)
    found = figures.open_counts(
        checked.sealed,
        checked.receipts,
        checked.definition.audit_plan,
        smallest=checked.definition.content["minimum_cell"],
        key=work.output_key,
    )
    work.verified(checked.result)
    return OpenedAudit(found, checked.result["record"], checked.log.head.size, checked.log.witnessed)
