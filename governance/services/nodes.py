"""What the institutions' nodes say of themselves. It tells people whom to call; no decision rests on it."""

from datetime import datetime

from concordat import clock
from governance.models import Institution, NodeStatus


def report(*, institution: Institution, software: str, policy: str, busy: bool, time: datetime) -> NodeStatus:
    """Keep what an institution's node says of itself, in place of what it said before.

    Args:
        policy: the digest of its policy file; empty without one.
        time: the time by the node's own clock.
    """
    said = {"software": software, "policy": policy, "busy": busy, "clock": time, "seen": clock.now()}
    status, _ = NodeStatus.objects.update_or_create(institution=institution, defaults=said)
    return status
