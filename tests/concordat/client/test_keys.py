"""An institution changes its own keys; whatever cuts a change off, it can be finished, and no key is lost."""

import json
import stat
import sys
from datetime import timedelta

import pytest
from click.testing import CliRunner
from joserfc.jwk import RSAKey

from concordat import canonical, clock, sealing
from concordat.client import keys as key_commands
from concordat.client.cli import main
from concordat.client.cli.common import TRY_AGAIN
from concordat.client.home import ClientHome
from concordat.client.keys import PENDING, OwnKeys
from concordat.enrolment import build_enrolment, verify_enrolment
from concordat.key_change import KeyHistory
from concordat.keystore import KINDS, Keystore
from concordat.pins import Pins
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

REGISTRY = "0x52908400098527886E0F7030069857D2E4169EE7"


class Recorder:
    """A coordinator that keeps what it can verify, and can be out of reach."""

    def __init__(self, history):
        self.history, self.away = history, False

    def __call__(self, change):
        if self.away:
            raise Refused(Reason.COORDINATOR_UNAVAILABLE)
        if change not in self.history.tokens:
            self.history = self.history.after(change)


@pytest.fixture
def own(tmp_path):
    keystore = Keystore(tmp_path / "keys").create()
    token = build_enrolment(
        keystore, institution="zurich", name="Zürich", jurisdiction="CH", roles=["party"], issued=clock.now()
    )
    pins = {
        "coordinator_key": SigningKey.generate().public.b64,
        "log_origin": "localhost/concordat",
        "enrolments": {"zurich": token},
        "chain_id": 31338,
        "registry": REGISTRY,
    }
    Pins.install(tmp_path, canonical.encode(pins), institution="zurich", identity=keystore.identity.public)
    return OwnKeys(tmp_path, "zurich", keystore, Recorder(KeyHistory(verify_enrolment(token))))


def fresh(own):
    return Keystore(own.directory / "keys")


@pytest.mark.parametrize("kind", KINDS)
def test_the_keystore_the_pins_and_the_coordinator_end_with_the_same_new_key(own, kind):
    before = own.keystore.public()[kind]
    own.rotate(kind, ground="rotation", offline=own.keystore.offline)
    assert fresh(own).public()[kind] == own.history.need(kind).public == own.send.history.need(kind).public != before
    assert own.pending is None
    assert fresh(own).successors.kinds == ()


def test_a_replaced_sealing_key_still_opens_what_was_sealed_to_it_and_the_others_are_gone(own):
    sealed, old = sealing.seal(own.keystore.sealing.public, b"share", context={}), own.keystore.sealing.kid
    content = {kind: (own.directory / "keys" / f"{kind}.pem").read_bytes() for kind in KINDS}
    for kind in KINDS:
        own.rotate(kind, ground="rotation", offline=own.keystore.offline)
    assert sealing.open(fresh(own).sealing_key(old), sealed, context={}) == b"share"
    assert fresh(own).sealing_key(fresh(own).sealing.kid).kid == fresh(own).sealing.kid
    left = [file for file in (own.directory / "keys").rglob("*") if file.is_file()]
    assert {kind for kind in KINDS if any(file.read_bytes() == content[kind] for file in left)} == {"sealing"}
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in left)


def test_a_sealing_key_that_was_never_here_opens_nothing(own):
    with pytest.raises(Refused) as caught:
        own.keystore.sealing_key("../identity")
    assert caught.value.reason is Reason.KEY_UNKNOWN


def test_no_private_key_is_in_what_is_sent(own):
    own.rotate("identity", ground="rotation", offline=own.keystore.offline)
    private = canonical.b64(fresh(own).identity.private.private_bytes_raw())
    assert all(private not in token for token in own.send.history.tokens)


def test_a_revoked_key_leaves_the_keystore_and_a_successor_can_follow(own):
    own.revoke("client", ground="compromise", offline=own.keystore.offline, effective=clock.now() - timedelta(days=1))
    assert "client" not in fresh(own).kinds
    assert own.history.live("client") is None
    own.rotate("client", ground="rotation", offline=own.keystore.offline)
    assert fresh(own).client.kid == own.history.need("client").key_id


@pytest.mark.parametrize("given", ["address", "rsa", "set"])
def test_another_systems_keys_may_sign_in_and_our_own_stays_where_it_is(own, given):
    rsa = RSAKey.generate_key(2048)
    jwk = rsa.as_dict(private=False) | {"alg": "RS384", "use": "sig", "kid": rsa.thumbprint()}
    before = own.keystore.public()["client"]
    address = {"jwks_url": "https://hospital.example/jwks.json"}
    public = {"address": address, "rsa": jwk, "set": {"keys": [before, jwk]}}[given]
    own.name_client(public, ground="rotation", offline=own.keystore.offline)
    assert own.history.need("client").public == own.send.history.need("client").public == public
    assert fresh(own).public()["client"] == before
    own.rotate("client", ground="rotation", offline=own.keystore.offline)
    assert fresh(own).public()["client"] == own.history.need("client").public != before


def test_a_successor_that_was_left_over_does_not_slip_in_with_another_change(own):
    before = own.keystore.public()["client"]
    own.keystore.successors.create(["client"])
    own.name_client({"jwks_url": "https://hospital.example/"}, ground="rotation", offline=own.keystore.offline)
    assert fresh(own).public()["client"] == before


def test_a_refused_change_is_not_begun_while_another_is_pending(own):
    own.send.away = True
    with pytest.raises(Refused) as caught:
        own.rotate("client", ground="rotation", offline=own.keystore.offline)
    assert caught.value.reason is Reason.COORDINATOR_UNAVAILABLE
    with pytest.raises(Refused) as caught:
        own.rotate("chain", ground="rotation", offline=own.keystore.offline)
    assert caught.value.reason is Reason.WRONG_STATE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "moment", ["successor made", "change signed", "change recorded", "old key retired", "keystore switched", "pinned"]
)
def test_a_process_killed_at_any_moment_leaves_a_change_that_can_be_finished(own, monkeypatch, kind, moment):
    class Killed(BaseException):
        """What no handler catches, as SIGKILL is."""

    def killed(*_, **__):
        raise Killed

    old_sealing = own.keystore.sealing.kid
    offline = own.keystore.offline
    with monkeypatch.context() as patched:
        match moment:
            case "successor made":
                patched.setattr(key_commands, "build_change", killed)
            case "change signed":
                patched.setattr(own.send, "away", True)
            case "change recorded":
                patched.setattr(Keystore, "promote", killed)
            case "old key retired":
                retire = Keystore._retire
                patched.setattr(Keystore, "_retire", lambda keystore, kind: (retire(keystore, kind), killed()))
            case "keystore switched":
                patched.setattr(Pins, "apply", killed)
            case "pinned":
                patched.setattr(key_commands, "sync", killed)
        with pytest.raises((Killed, Refused)):
            own.rotate(kind, ground="rotation", offline=offline)
    again = OwnKeys(own.directory, "zurich", fresh(own), own.send)
    own.send.away = False
    if moment == "successor made":
        staged = again.keystore.successors.public()[kind]
        again.rotate(kind, ground="rotation", offline=offline)
        assert again.history.need(kind).public == staged
    elif moment != "pinned":
        assert (own.directory / PENDING).exists()
        again.resume()
    assert again.pending is None
    assert fresh(own).public()[kind] == again.history.need(kind).public == own.send.history.need(kind).public
    assert own.send.history.sequence == again.history.sequence == 1
    assert fresh(own).sealing_key(old_sealing).kid == old_sealing


def test_without_a_pending_change_there_is_nothing_to_finish(own):
    with pytest.raises(Refused) as caught:
        own.resume()
    assert caught.value.reason is Reason.NOT_FOUND


def test_the_command_shows_every_key_and_what_ended_it(own):
    own.rotate("client", ground="loss", offline=own.keystore.offline)
    ClientHome.create(own.directory, {"institution": "zurich", "coordinator": "http://localhost:8000"})
    done = CliRunner().invoke(main, ["--home", str(own.directory), "--output", "json", "keys", "show"])
    shown = json.loads(done.output)["keys"]
    assert len(shown) == 6
    assert [key["ended"].split()[0] for key in shown if key["ended"]] == ["loss"]
    assert own.history.need("client").key_id in {key["key_id"] for key in shown}


def test_the_command_refuses_while_the_coordinator_is_away_and_finishes_later(own, monkeypatch):
    ClientHome.create(own.directory, {"institution": "zurich", "coordinator": "http://localhost:8000"})
    monkeypatch.setattr(sys.modules["concordat.client.cli.keys"], "post_change", lambda address: own.send)
    own.send.away = True
    command = ["--home", str(own.directory), "keys"]
    assert CliRunner().invoke(main, [*command, "rotate", "chain"]).exit_code == TRY_AGAIN
    own.send.away = False
    done = CliRunner().invoke(main, [*command, "resume"])
    assert done.exit_code == 0
    assert "vote again" in done.output
    assert "registry contract" in done.output
    assert own.history.need("chain").public == fresh(own).chain.address
