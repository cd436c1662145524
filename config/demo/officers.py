"""An officer at the admin site, by HTTP: what a browser and a passkey would send, with the passkey in software."""

import re
import secrets
from datetime import datetime
from html import escape
from typing import Any

import httpx

from concordat import canonical
from concordat.passkeys import SoftwarePasskey
from concordat.reasons import Reason, Refused

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_CODE = re.compile(r"<li><code>([a-z2-7-]+)</code></li>")


def _option(page: str, label: str) -> str:
    """The value of the choice that a page shows as this."""
    found = re.search(rf'<option value="([^"]+)"[^>]*>{re.escape(escape(label))}</option>', page)
    if found is None:
        raise Refused(Reason.INTERNAL, detail=f"The page offers no “{label}”.")
    return found[1]


class Officer:
    """A person with an account, a password and a passkey. Use it as a context manager."""

    def __init__(self, *, email: str, name: str, institution: str, role: str) -> None:
        self.email, self.name, self.institution, self.role = email, name, institution, role
        self.password = secrets.token_urlsafe(18)
        self.recovery_codes: list[str] = []
        self._passkey: SoftwarePasskey | None = None
        self._http = httpx.Client(timeout=30, follow_redirects=False)

    def close(self) -> None:
        self._http.close()

    def sign_in(self, base_url: str) -> None:
        """Signs in at the admin site with password and passkey; the first time, makes the passkey.

        Raises Refused(SIGN_IN_REFUSED).
        """
        self._http.base_url = httpx.URL(base_url)
        self._http.cookies.clear()
        form = {"username": self.email, "password": self.password, "next": "/admin/"}
        if self._submit("/admin/login/", form).status_code != httpx.codes.FOUND:
            raise Refused(Reason.SIGN_IN_REFUSED, detail="The admin site did not accept the password.")
        if self._passkey is None:
            self._passkey = self._set_up()
            page = self._submit("/admin/second-factors/recovery-codes/", {}).text
            self.recovery_codes = _CODE.findall(page)
        else:
            asked = self._post("/admin/second-factor/challenge/", {})
            assertion = dict(self._passkey.assertion(canonical.unb64(asked["challenge"])))
            self._post("/admin/second-factor/passkey/", {"nonce": asked["nonce"], "assertion": assertion})

    def register_passkey(self) -> dict[str, str]:
        """The officer's line for the institution's roster, with the passkey that was made at the first sign-in."""
        assert self._passkey is not None
        return {
            "officer": re.sub(r"[^a-z0-9]+", "-", self.email.partition("@")[0]),
            "name": self.name,
            "role": self.role,
            "credential": self._passkey.credential,
            "key": self._passkey.key,
        }

    def sign(self, act: str, **fields: Any) -> None:
        """Does what this act does, by a signature with the passkey."""
        assert self._passkey is not None
        asked = self._post("/admin/acts/ask/", {"act": act, "fields": fields, "method": "passkey"})
        assertion = dict(self._passkey.assertion(canonical.unb64(asked["challenge"])))
        self._post("/admin/acts/sign/", {"nonce": asked["nonce"], "assertion": assertion})

    def route(self, study: str, *, review: str, path: str, category: str, ground: str) -> None:
        """Chooses the path of the board's review of a study (its UUID), which needs no signature."""
        form = {"review": review, "route": f"{path} {category}", "ground": ground}
        page = f"/admin/governance/study/{study}/"
        answer = self._send(f"{page}route/", form, self._http.get("/admin/second-factors/").text)
        if answer.status_code != httpx.codes.FOUND:
            raise Refused(Reason.INTERNAL, detail=f"The page {page}route/ answered {answer.status_code}.")

    def open_matter(self, institution: str, reviewer: str, *, until: datetime, **said: str) -> None:
        """Opens a legal matter of the institution of this name, and lets its reviewer of this name in."""
        address = "/admin/matters/open/"
        page = self._http.get(address).text
        ends = f"{until:%Y-%m-%dT%H:%M}"
        opened = self._send(address, said | {"institution": _option(page, institution), "ends": ends}, page)
        if opened.status_code != httpx.codes.FOUND:
            raise Refused(Reason.INTERNAL, detail=f"The page {address} answered {opened.status_code}.")
        matter = opened.headers["Location"]
        page = self._http.get(matter).text
        grant = {"grant-reviewer": _option(page, reviewer), "grant-until": ends}
        given = self._send(f"{matter}grant/", grant, page)
        if given.status_code != httpx.codes.FOUND:
            raise Refused(Reason.INTERNAL, detail=f"The page {matter}grant/ answered {given.status_code}.")

    def _set_up(self) -> SoftwarePasskey:
        asked = self._post("/admin/second-factor/set-up/challenge/", {})
        base = self._http.base_url
        passkey = SoftwarePasskey.create(asked["rp_id"], f"{base.scheme}://{base.netloc.decode()}")
        registration = dict(passkey.registration(canonical.unb64(asked["challenge"])))
        self._post("/admin/second-factor/set-up/passkey/", {"nonce": asked["nonce"], "registration": registration})
        return passkey

    def _submit(self, path: str, form: dict[str, str]) -> httpx.Response:
        """Fills the form on a page in and sends it."""
        return self._send(path, form, self._http.get(path).text)

    def _send(self, path: str, form: dict[str, str], page: str) -> httpx.Response:
        found = _TOKEN.search(page)
        if found is None:
            raise Refused(Reason.INTERNAL, detail=f"There is no form from which to go to {path}.")
        base = str(self._http.base_url).rstrip("/")
        return self._http.post(path, data=form | {"csrfmiddlewaretoken": found[1]}, headers={"Referer": base + path})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        base = str(self._http.base_url).rstrip("/")
        headers = {
            "X-CSRFToken": self._http.cookies.get("csrftoken") or "",
            "Referer": f"{base}/admin/",
            "Content-Type": "application/json",
        }
        answer = self._http.post(path, content=canonical.encode(body), headers=headers)
        content: dict[str, Any] = canonical.decode(answer.content) if "json" in answer.headers["content-type"] else {}
        if answer.is_success:
            return content
        reason = Reason(content["reason"]) if "reason" in content else Reason.INTERNAL
        raise Refused(reason, detail=content.get("sentence", f"The admin site answered {answer.status_code}."))
