"""What a training of ours made becomes a model of ours. Nobody learns the weights."""

from concordat.canonical import digest
from concordat.client import many
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.client.models import PublishedModel
from concordat.client.work import CohortWork
from concordat.fields import plain
from concordat.model import check_manifest, publish_trained


def import_trained(home: ClientHome, api: Api, work: CohortWork) -> PublishedModel:
    """Verify what the nodes made, sign the new model's manifest, and import it: its shares are those that each party
    sealed to itself. The same again imports the same model.

    Raises:
        Refused: as `many.check`; CONFLICT for a version that is there with other content.
    """
    checked = many.check(home, api, work)
    definition = checked.definition
    token = work.manifest or publish_trained(
        definition.manifest,
        job=work.sent,
        **definition.training_plan.result,
        commitments={node: each["weights"] for node, each in checked.receipts.items() if "weights" in each},
        party_keys={party: home.pins.sealing(party, "parties") for party in definition.content["parties"]},
        key=home.keys.identity,
    )
    work.verified(checked.result)
    work.signed(token)
    manifest = check_manifest(token, home.pins.lasting_keyring)
    api.import_model(token, checked.sealed)
    return PublishedModel(digest(plain(manifest)), manifest)
