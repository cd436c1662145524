"""An officer at the admin site, by HTTP: what a browser and a passkey would send, with the passkey in software."""

import re
import secrets
from typing import Any
from urllib.parse import urlsplit

import httpx

from concordat import canonical
from concordat.passkeys import SoftwarePasskey
from concordat.reasons import Reason, Refused

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_CODE = re.compile(r"<li><code>([a-z2-7-]+)</code></li>")


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

    def determine(self, study: str, determination: str) -> dict[str, Any]:
        """Signs the board's determination on a study (its UUID) with the passkey."""
        assert self._passkey is not None
        asked = self._post(f"/admin/governance/study/{study}/challenge/", {"determination": determination})
        assertion = dict(self._passkey.assertion(canonical.unb64(asked["challenge"])))
        return self._post(
            f"/admin/governance/study/{study}/determination/", {"nonce": asked["nonce"], "assertion": assertion}
        )

    def find_study(self, title: str) -> str:
        """The UUID of the study with this title, read off the officer's own list and page."""
        listing = self._http.get("/admin/governance/study/")
        row = re.search(rf'href="([^"]+/change/)[^"]*">{re.escape(title)}', listing.text)
        if row is None:
            raise Refused(Reason.NOT_FOUND, detail="The officer's list does not show this study.")
        page = self._http.get(urlsplit(row[1]).path)
        found = re.search(r"/admin/governance/study/([0-9a-f-]{36})/", page.text)
        if found is None:
            raise Refused(Reason.NOT_FOUND, detail="The study's page offers nothing to sign.")
        return found[1]

    def _set_up(self) -> SoftwarePasskey:
        asked = self._post("/admin/second-factor/set-up/challenge/", {})
        base = self._http.base_url
        passkey = SoftwarePasskey.create(asked["rp_id"], f"{base.scheme}://{base.netloc.decode()}")
        registration = dict(passkey.registration(canonical.unb64(asked["challenge"])))
        self._post("/admin/second-factor/set-up/passkey/", {"nonce": asked["nonce"], "registration": registration})
        return passkey

    def _submit(self, path: str, form: dict[str, str]) -> httpx.Response:
        """Fills the form on a page in and sends it."""
        found = _TOKEN.search(self._http.get(path).text)
        if found is None:
            raise Refused(Reason.INTERNAL, detail=f"The page {path} has no form.")
        base = str(self._http.base_url).rstrip("/")
        return self._http.post(path, data=form | {"csrfmiddlewaretoken": found[1]}, headers={"Referer": base + path})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        base = str(self._http.base_url).rstrip("/")
        headers = {
            "X-CSRFToken": self._http.cookies.get("csrftoken", ""),
            "Referer": f"{base}/admin/",
            "Content-Type": "application/json",
        }
        answer = self._http.post(path, content=canonical.encode(body), headers=headers)
        content: dict[str, Any] = canonical.decode(answer.content) if "json" in answer.headers["content-type"] else {}
        if answer.is_success:
            return content
        reason = Reason(content["reason"]) if "reason" in content else Reason.INTERNAL
        raise Refused(reason, detail=content.get("sentence", f"The admin site answered {answer.status_code}."))
