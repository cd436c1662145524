"""A node as a witness: it signs one history, whatever it is shown and whenever it is killed."""

import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from compute.node.cli import cli
from compute.node.witness import Witness
from concordat import checkpoint, clock, cosignature, witnesses
from concordat.reasons import Reason, Refused
from concordat.witness import Seen
from tests.support.consortium import NODES
from tests.support.history import History, Shown

ROOT = Path(__file__).parents[3]
LEAVES = [b"%d" % number for number in range(30)]


@pytest.fixture
def told(consortium):
    """What really happened."""
    pins = consortium.homes["zurich"].pins
    return History(LEAVES, key=consortium.coordinator, origin=pins.log_origin)


@pytest.fixture
def forked(consortium, told):
    """Another story, from the tenth entry on, signed with the same key."""
    return History([*LEAVES[:10], *(b"x%d" % n for n in range(20))], key=consortium.coordinator, origin=told.origin)


def at(consortium, slug, history, size, **options):
    return Witness(consortium.homes[slug], Shown(history, size), **options)


def cosigners(consortium, history, size):
    pins = consortium.homes["zurich"].pins
    keys = witnesses.live(pins.histories).keys
    return set(cosignature.verify(history.cosigned(size), keys, origin=history.origin))


def refusal(call):
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason


def test_it_follows_a_log_that_grows_and_signs_with_its_institution_s_key(consortium, told):
    for size in (4, 4, 9, 30):
        assert at(consortium, "zurich", told, size).cosign().size == size
    for size in (4, 9, 30):
        assert cosigners(consortium, told, size) == {"zurich"}
    assert at(consortium, "zurich", told, 1).heads.last(told.origin) == Seen(30, told.subtree(0, 30))
    (line, _) = told.lines[4]
    (found,) = cosignature.verify(
        told.note(4) + line, {"zurich": consortium.identity("zurich").public}, origin=told.origin
    ).values()
    assert abs((clock.now() - found.time).total_seconds()) < 60


def test_it_signs_no_other_history_and_keeps_the_proof(consortium, told, forked):
    at(consortium, "zurich", told, 20).cosign()
    shown = at(consortium, "zurich", forked, 25)
    assert refusal(shown.cosign) is Reason.CONSISTENCY_INVALID
    assert refusal(shown.cosign) is Reason.CONSISTENCY_INVALID
    (kept,) = shown.heads.contradictions()
    keys = {told.origin: consortium.coordinator.public}
    assert checkpoint.verify(kept.refused, keys).root == forked.subtree(0, 25)
    assert checkpoint.verify(kept.cosigned, keys).root == told.subtree(0, 20)
    assert (kept.reason, forked.lines) == ("consistency-invalid", {})
    assert at(consortium, "zurich", told, 30).cosign().size == 30  # and the true one goes on


def test_it_signs_no_shorter_head_and_does_not_keep_it_as_a_contradiction(consortium, told):
    """A coordinator's lagging replica shows one."""
    at(consortium, "zurich", told, 20).cosign()
    shown = at(consortium, "zurich", told, 19)
    assert refusal(shown.cosign) is Reason.CHECKPOINT_OLDER
    assert (shown.heads.contradictions(), 19 in told.lines) == ([], False)


def test_another_head_of_the_same_size_is_kept(consortium, told, forked):
    at(consortium, "zurich", told, 20).cosign()
    shown = at(consortium, "zurich", forked, 20)
    assert refusal(shown.cosign) is Reason.CONSISTENCY_INVALID
    assert [(each.cosigned, each.refused) for each in shown.heads.contradictions()] == [
        (told.note(20), forked.note(20))
    ]


def test_a_head_of_another_key_is_refused_and_is_no_proof_of_anything(consortium, told):
    stranger = History(LEAVES, key=consortium.identity("budapest"), origin=told.origin)
    shown = at(consortium, "zurich", stranger, 5)
    assert refusal(shown.cosign) is Reason.CHECKPOINT_INVALID
    assert shown.heads.contradictions() == []
    assert shown.heads.last(told.origin) == Seen()


def test_a_proof_from_elsewhere_than_where_it_stands_is_refused(consortium, told):
    at(consortium, "zurich", told, 20).cosign()

    class Stubborn(Shown):
        def checkpoint(self, old):
            return super().checkpoint(15)

    shown = Witness(consortium.homes["zurich"], Stubborn(told, 25))
    assert refusal(shown.cosign) is Reason.WITNESS_ELSEWHERE
    assert shown.heads.contradictions() == []


def test_what_is_kept_has_an_end(consortium, told, monkeypatch):
    monkeypatch.setattr("compute.node.witness.MOST_CONTRADICTIONS", 3)
    shown = at(consortium, "zurich", told, 20)
    shown.cosign()
    for number in range(5):
        shown.heads.keep(told.origin, f"note {number}", Reason.CONSISTENCY_INVALID, clock.now())
    assert len(shown.heads.contradictions()) == 3


def test_a_coordinator_that_shows_two_histories_gets_enough_for_one_at_most(consortium, told, forked):
    """Two nodes are shown one history and two another; the one node that lies signs both."""
    for slug in ("cleveland", "budapest"):
        at(consortium, slug, told, 20).cosign()
    for slug in ("zurich", "notary"):
        at(consortium, slug, forked, 20).cosign()
    needed = witnesses.needed(len(NODES))
    assert len(cosigners(consortium, told, 20)) == len(cosigners(consortium, forked, 20)) == 2 < needed
    body = checkpoint.verify(told.note(20), {told.origin: consortium.coordinator.public}).body
    name = cosignature.name_of(told.origin, "notary")
    told.lines[20].append(cosignature.cosign(body, consortium.identity("notary"), name, clock.now()))
    assert len(cosigners(consortium, told, 20)) == needed
    # Nobody of the first two can be won for the other history any more, and each has the proof from then on.
    for slug in ("cleveland", "budapest"):
        shown = at(consortium, slug, forked, 20)
        assert refusal(shown.cosign) is Reason.CONSISTENCY_INVALID
        assert len(shown.heads.contradictions()) == 1
    # Lines from the one history under the other are false, not missing.
    note = forked.note(20) + "".join(told.lines[20])
    keys = witnesses.live(consortium.homes["zurich"].pins.histories).keys
    assert refusal(lambda: cosignature.verify(note, keys, origin=told.origin)) is Reason.COSIGNATURE_INVALID


def test_threads_that_are_shown_two_histories_at_once_sign_one(consortium, told, forked):
    together, signed = threading.Barrier(8), []

    def work(history, size):
        together.wait(10)
        with suppress(Refused):
            signed.append((history, at(consortium, "zurich", history, size).cosign().size))

    threads = [
        threading.Thread(target=work, args=(history, size)) for history in (told, forked) for size in (12, 15, 20, 25)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({history for history, _ in signed}) == 1


def test_the_command_shows_where_it_stands_and_what_contradicts_it(consortium, told, forked):
    folder = str(consortium.homes["zurich"].directory)
    at(consortium, "zurich", told, 20).cosign()
    shown = CliRunner().invoke(cli, ["witness", "--home", folder])
    assert (shown.exit_code, "cosigned last\t20 entries\t" + told.subtree(0, 20).hex() in shown.output) == (0, True)
    assert "verifier key\tlocalhost/concordat/witnesses/zurich+" in shown.output
    with suppress(Refused):
        at(consortium, "zurich", forked, 25).cosign()
    shown = CliRunner().invoke(cli, ["witness", "--home", folder])
    assert shown.exit_code == 1
    assert told.note(20) in shown.output
    assert forked.note(25) in shown.output


@pytest.mark.parametrize("moment", [pytest.param("before", marks=pytest.mark.full), "after"])
def test_killed_between_keeping_and_signing_it_signs_nothing_else_afterwards(consortium, told, forked, moment):
    """`kill -9` just before, and just after, the transaction that comes before every signature."""
    home = consortium.homes["zurich"]
    at(consortium, "zurich", told, 12).cosign()
    script = textwrap.dedent(f"""
        import os, signal, sys
        from compute.node import witness
        from compute.node.home import NodeHome
        from tests.support.history import History, Shown
        from concordat.keystore import Keystore
        from concordat.signatures import SigningKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)

        if {moment!r} == "before":
            witness.witnessing.check = die
        else:
            witness.cosignature.cosign = die
        home = NodeHome({str(home.directory)!r})
        key = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sys.argv[1])))
        history = History([b"%d" % n for n in range(30)], key=key, origin=home.pins.log_origin)
        witness.Witness(home, Shown(history, 20)).cosign()
    """)
    secret = consortium.coordinator.private.private_bytes_raw().hex()
    done = subprocess.run([sys.executable, "-c", script, secret], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert told.lines.keys() == {12}
    stands = {"before": 12, "after": 20}[moment]
    assert at(consortium, "zurich", told, 20).heads.last(told.origin).size == stands
    for size in (20, 25):
        assert refusal(at(consortium, "zurich", forked, size).cosign) is Reason.CONSISTENCY_INVALID
    assert at(consortium, "zurich", told, 20).cosign().size == 20
    assert cosigners(consortium, told, 20) == {"zurich"}


def test_what_it_cosigned_last_is_on_disk_before_the_signature_is_made(consortium, told, monkeypatch):
    home, seen = consortium.homes["zurich"], []
    made = cosignature.cosign

    def watched(*arguments):
        with sqlite3.connect(home.state) as other:
            seen.extend(other.execute("SELECT size FROM witnessed").fetchall())
        return made(*arguments)

    monkeypatch.setattr("compute.node.witness.cosignature.cosign", watched)
    at(consortium, "zurich", told, 20).cosign()
    assert seen == [(20,)]
