"""An alarm about a false canary: handed in until the log shows it."""

import time
from collections.abc import Callable
from typing import NoReturn

from concordat import canonical
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.client.log import check_entry, follow
from concordat.client.work import Work
from concordat.events import Event
from concordat.reasons import REASONS, Reason, Refused

_PAUSE = 5.0
ATTEMPTS = 4
NOT_LOGGED = "alarm"
"""The field that a refusal names whose alarm the log does not show yet."""


def hand_in(home: ClientHome, api: Api, work: Work, *, sleep: Callable[[float], None] = time.sleep) -> NoReturn:
    """Hand the alarm in, for as often as it takes until it stands in the log: the same again is no harm.

    Whoever runs the log could keep an alarm back that it has taken, and nobody else would hear of it.

    Raises:
        Refused: CANARY_FAILED, which names the field `NOT_LOGGED` while the log does not show the alarm; or what
            `check_entry` refuses.
    """
    job, sentence = work.sent, REASONS[Reason.CANARY_FAILED].sentence
    for attempt in range(ATTEMPTS):
        entry = api.raise_alarm(job, work.alarm)["entry"]
        try:
            documents = {"alarm": canonical.digest(work.alarm.encode())}
            check_entry(api, follow(home, api).head, entry, event=Event.CANARY_FAILED, job=job, documents=documents)
        except Refused as refused:
            if refused.reason not in (Reason.RESULT_NOT_READY, Reason.WITNESSES_TOO_FEW):
                raise
        else:
            raise Refused(Reason.CANARY_FAILED, detail=f"{sentence} The alarm is entry {entry} of the log.")
        if attempt + 1 < ATTEMPTS:
            sleep(_PAUSE)
    detail = f"{sentence} The alarm was taken, and the log does not show it: open the result again until it does."
    raise Refused(Reason.CANARY_FAILED, detail=detail, field=NOT_LOGGED)
