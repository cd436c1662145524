"""The two steps of every signature: what is signed, as JSON, and the proof."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from concordat import clock, passkeys
from concordat.canonical import b64
from concordat.reasons import Reason, Refused
from governance import acts
from governance.admin import answers
from governance.admin.base import user_of
from governance.models import SigningChallenge
from governance.services import challenges, sign_in


@answers.json_view
def ask(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """What the officer is about to sign, and for a passkey the challenge that it answers."""
    fields = body.get("fields")
    if not isinstance(fields, dict):
        raise Refused(Reason.FIELD_MISSING, field="fields")
    asked = acts.ask(
        by=user_of(request), act=answers.text(body, "act"), fields=fields, method=answers.text(body, "method")
    )
    return {
        "nonce": asked.nonce,
        "statement": asked.statement,
        "challenge": b64(passkeys.challenge(asked.statement)),
        "credential": asked.credential,
        "rp_id": challenges.rp_id(),
        "expires": clock.rfc3339(asked.expires),
    }


@answers.json_view
def sign(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Signed with the passkey's assertion; or with password and code, which are confirmed here and now."""
    nonce, assertion = answers.text(body, "nonce"), body.get("assertion")
    if isinstance(assertion, dict):
        acts.sign(by=user_of(request), nonce=nonce, assertion=assertion)
    else:
        if not SigningChallenge.objects.filter(nonce=nonce, user=user_of(request), used=None).exists():
            raise Refused(Reason.NOT_FOUND, detail="You were not asked to sign this.", field="nonce")
        confirmed = sign_in.confirm(request, password=answers.text(body, "password"), code=answers.text(body, "code"))
        acts.sign(by=user_of(request), nonce=nonce, confirmed=confirmed)
    messages.success(request, "Your signature is kept, and what it says is done.")
    return {"signed": True}
