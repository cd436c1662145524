"""What a definition's budgets leave: jobs by requester, and opened numbers over the whole consortium."""

from datetime import UTC, date, datetime

from django.db import transaction
from django.db.models import F, Q, Sum

from concordat.reasons import Reason, Refused
from governance.models import BudgetUse, Definition, Institution


def check(*, definition: Definition, requester: Institution, now: datetime) -> str:
    """What is left, as a sentence; whether one more job is within every budget.

    Raises:
        Refused: BUDGET_SPENT, naming the budget in `field`.
    """
    budgets, own, day = definition.content["budgets"], Q(requester=requester), Q(day=_day(now))
    used = BudgetUse.objects.filter(definition=definition).aggregate(
        jobs_a_day=Sum("jobs", filter=own & day, default=0),
        jobs=Sum("jobs", filter=own, default=0),
        scalars=Sum("scalars", default=0),
    )
    costs = {"jobs_a_day": 1, "jobs": 1, "scalars": definition.scalars}
    for name, cost in costs.items():
        if used[name] + cost > budgets[name]:
            raise Refused(Reason.BUDGET_SPENT, detail=_SPENT[name].format(budgets[name]), field=f"budgets.{name}")
    left = {name: budgets[name] - used[name] for name in costs}
    return f"Left: {left['jobs_a_day']} jobs today, {left['jobs']} in all, {left['scalars']} numbers to open."


@transaction.atomic
def spend(*, definition: Definition, requester: Institution, now: datetime) -> None:
    """Take one job out of the budgets, inside of the caller's transaction. Whoever else would, waits until it ends, so
    nobody spends what another has.

    Raises:
        Refused: BUDGET_SPENT, naming the budget in `field`.
    """
    Definition.objects.select_for_update(no_key=True).get(pk=definition.pk)
    check(definition=definition, requester=requester, now=now)
    use, _ = BudgetUse.objects.get_or_create(definition=definition, requester=requester, day=_day(now))
    _add(use, jobs=1, scalars=definition.scalars)


@transaction.atomic
def refund(*, definition: Definition, requester: Institution, spent: datetime) -> None:
    """Give one job's part back: it has ended, for good and under its row's lock, and nothing of it was opened.

    Args:
        spent: the moment at which it was taken out.
    """
    Definition.objects.select_for_update(no_key=True).get(pk=definition.pk)
    use = BudgetUse.objects.get(definition=definition, requester=requester, day=_day(spent))
    _add(use, jobs=-1, scalars=-definition.scalars)


_SPENT = {
    "jobs_a_day": "Each requester has {} jobs a day.",
    "jobs": "Each requester has {} jobs in all.",
    "scalars": "All requesters together may have {} numbers opened: they are functions of the secret model.",
}


def _add(use: BudgetUse, *, jobs: int, scalars: int) -> None:
    BudgetUse.objects.filter(pk=use.pk).update(jobs=F("jobs") + jobs, scalars=F("scalars") + scalars)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
