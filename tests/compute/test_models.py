"""Importing a model: its owner alone, once, sealed to the right keys."""

import pytest

from compute.models import ModelVersion
from compute.services import models
from concordat import model
from concordat.canonical import digest
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from ledger.models import LogEntry
from ledger.selectors import document
from tests.support.consortium import OWNER, PARTIES


def publish(world, **changes):
    made = world.consortium
    fields = {
        "model": "heart",
        "version": "2",
        "owner": OWNER,
        "kind": made.kind,
        "schema": made.manifest["schema"],
        "columns": len(made.schema.columns),
        "tensors": made.tensors,
        "party_keys": made.party_keys,
        "key": made.identity(OWNER),
    }
    return model.publish(**fields | changes)


def refusal(world, manifest, sealed, by=OWNER):
    with pytest.raises(Refused) as caught:
        models.import_model(manifest=manifest, sealed=sealed, by=world.bodies[by])
    assert ModelVersion.objects.count() == LogEntry.objects.filter(event=Event.MODEL_IMPORTED).count() == 1
    return caught.value.reason


def test_an_import_is_logged_with_its_manifest_and_no_share(world):
    [entry] = LogEntry.objects.filter(event=Event.MODEL_IMPORTED)
    assert entry.public["model"] == digest(world.consortium.manifest) == world.model.digest
    assert document(entry.documents["manifest"]).decode() == world.model.manifest
    assert set(world.model.shares.values_list("party__slug", flat=True)) == set(PARTIES)


def test_importing_twice_is_importing_once(world):
    manifest, sealed = world.consortium.published
    again = models.import_model(manifest=manifest, sealed=sealed, by=world.bodies[OWNER])
    assert again == world.model
    assert LogEntry.objects.filter(event=Event.MODEL_IMPORTED).count() == 1


def test_a_version_is_never_replaced(world):
    manifest, sealed = publish(world, version="1")
    assert refusal(world, manifest, sealed) is Reason.CONFLICT
    known, _ = world.consortium.published
    assert refusal(world, known, sealed) is Reason.CONFLICT


def test_only_the_owner_imports_its_model(world):
    manifest, sealed = publish(world)
    assert refusal(world, manifest, sealed, by="zurich") is Reason.WRONG_INSTITUTION
    forged, sealed = publish(world, owner="zurich")
    assert refusal(world, forged, sealed, by="zurich") is Reason.KEY_UNKNOWN


def test_an_institution_needs_the_role(world):
    manifest, sealed = publish(world, owner="zurich", key=world.consortium.identity("zurich"))
    assert refusal(world, manifest, sealed, by="zurich") is Reason.ROLE_MISSING


def test_shares_go_to_enrolled_parties_under_the_keys_they_hold(world):
    keys = dict(world.consortium.party_keys)
    manifest, sealed = publish(world, party_keys=keys | {"zurich": SealingKey.generate().public})
    assert refusal(world, manifest, sealed) is Reason.KEY_UNKNOWN
    manifest, sealed = publish(world, party_keys=keys | {"long-beach": keys["zurich"]})
    assert refusal(world, manifest, sealed) is Reason.ROLE_MISSING
    manifest, sealed = publish(world, party_keys=keys | {"nowhere": keys["zurich"]})
    assert refusal(world, manifest, sealed) is Reason.NOT_FOUND


def test_there_is_one_share_for_each_party(world):
    manifest, sealed = publish(world)
    missing = {party: sealed[party] for party in PARTIES[1:]}
    assert refusal(world, manifest, missing) is Reason.WRONG_PARTY
    assert refusal(world, manifest, {**sealed, "notary": sealed["zurich"]}) is Reason.WRONG_PARTY
