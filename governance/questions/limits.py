"""Where may it go, and how often?"""

from itertools import permutations

from concordat.reasons import Reason, Refused
from governance.case import Case
from governance.services import budgets


def transfers(case: Case) -> str:
    """Each border that shares cross has its legal basis, and the result goes where the definition lets it go."""
    content = case.definition.content
    stated = {(transfer["from"], transfer["to"]) for transfer in content["transfers"]}
    taking_part = [case.request["requester"], *content["parties"]]
    laws = dict.fromkeys(case.institutions[slug].jurisdiction for slug in taking_part if slug in case.institutions)
    for sender, receiver in permutations(laws, 2):
        if (sender, receiver) not in stated:
            detail = f"No legal basis is stated for shares that go from {sender} to {receiver}."
            raise Refused(Reason.TRANSFER_BASIS_MISSING, detail=detail)
    goal = case.requester.jurisdiction
    if goal not in content["result_jurisdictions"]:
        raise Refused(Reason.TRANSFER_BASIS_MISSING, detail=f"No result may go to {goal}.")
    borders = f"Each border between {', '.join(laws)} has its stated basis" if len(laws) > 1 else "No border is crossed"
    return f"{borders}; results may go to {goal}."


def budget(case: Case) -> str:
    return budgets.check(definition=case.definition, requester=case.requester, now=case.now)
