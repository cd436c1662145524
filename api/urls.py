"""The addresses below /api/v1/."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from api.views import (
    attachments,
    consents,
    definitions,
    dossiers,
    institutions,
    ledger,
    models,
    node,
    packages,
    predictions,
    reliances,
    smart,
    studies,
    subjects,
    tiles,
    token,
    webhooks,
    witness,
)


class DigestConverter(StringConverter):
    """`sha256:` and 64 hexadecimal digits."""

    regex = "sha256:[0-9a-f]{64}"


register_converter(DigestConverter, "digest")

urlpatterns = [
    path(".well-known/smart-configuration", smart.SmartConfiguration.as_view(), name="smart-configuration"),
    path("token", token.Token.as_view(), name="token"),
    path("institutions", institutions.Institutions.as_view(), name="institutions"),
    path("institutions/changes", institutions.KeyChanges.as_view(), name="key-changes"),
    path("key-changes", institutions.NewKeyChange.as_view(), name="new-key-change"),
    path("institutions/<slug:institution>", institutions.OneInstitution.as_view(), name="institution"),
    path("rosters", institutions.Rosters.as_view(), name="rosters"),
    path("reliances", reliances.Reliances.as_view(), name="reliances"),
    path("studies", studies.Studies.as_view(), name="studies"),
    path("studies/<slug:study>", studies.OneStudy.as_view(), name="study"),
    path("studies/<slug:study>/attachments", attachments.Attachments.as_view(), name="attachments"),
    path("models", models.Models.as_view(), name="models"),
    path("models/<digest:model>", models.OneModel.as_view(), name="model"),
    path("models/<digest:model>/disclosure", models.Disclosure.as_view(), name="model-disclosure"),
    path("models/<digest:model>/canaries", models.Canaries.as_view(), name="model-canaries"),
    path("definitions", definitions.Definitions.as_view(), name="definitions"),
    path("definitions/<digest:definition>", definitions.OneDefinition.as_view(), name="definition"),
    path("definitions/<digest:definition>/votes", definitions.Votes.as_view(), name="definition-votes"),
    path("consents", consents.Consents.as_view(), name="consents"),
    path("consents/<uuid:consent>/withdraw", consents.Withdrawal.as_view(), name="consent-withdrawal"),
    path("consents/<uuid:consent>/capacity", consents.Capacity.as_view(), name="consent-capacity"),
    path("subjects/<uuid:subject>/export", subjects.Export.as_view(), name="subject-export"),
    path("subjects/<uuid:subject>/disclosures", subjects.Disclosures.as_view(), name="subject-disclosures"),
    path("subjects/<uuid:subject>/erase", subjects.Erasure.as_view(), name="subject-erase"),
    path("erasures", subjects.Erasures.as_view(), name="erasures"),
    path("predictions", predictions.Predictions.as_view(), name="predictions"),
    path("predictions/<uuid:prediction>", predictions.OnePrediction.as_view(), name="prediction"),
    path("predictions/<uuid:prediction>/cancel", predictions.Cancellation.as_view(), name="prediction-cancel"),
    path("predictions/<uuid:prediction>/result", predictions.Result.as_view(), name="prediction-result"),
    path("predictions/<uuid:prediction>/display", predictions.Displays.as_view(), name="prediction-display"),
    path("predictions/<uuid:prediction>/packages", packages.Packages.as_view(), name="prediction-packages"),
    path("predictions/<uuid:prediction>/alarm", predictions.Alarms.as_view(), name="prediction-alarm"),
    path("predictions/<uuid:prediction>/testimonies", predictions.Testimonies.as_view(), name="prediction-testimonies"),
    path("predictions/<uuid:prediction>/finding", predictions.Findings.as_view(), name="prediction-finding"),
    path("ledger/checkpoint", ledger.Checkpoint.as_view(), name="ledger-checkpoint"),
    path("ledger/entries", ledger.Entries.as_view(), name="ledger-entries"),
    path("ledger/entries/<int:index>", ledger.Entry.as_view(), name="ledger-entry"),
    path("ledger/inclusion", ledger.Inclusion.as_view(), name="ledger-inclusion"),
    path("ledger/consistency", ledger.Consistency.as_view(), name="ledger-consistency"),
    path("log/checkpoint", tiles.LogCheckpoint.as_view(), name="log-checkpoint"),
    path("log/tile/entries/<path:path>", tiles.EntryBundle.as_view(), name="log-entries"),
    path("log/tile/<str:level>/<path:path>", tiles.HashTile.as_view(), name="log-tile"),
    path("events", webhooks.Events.as_view(), name="events"),
    path("webhooks", webhooks.Webhooks.as_view(), name="webhooks"),
    path("webhooks/<uuid:webhook>", webhooks.OneWebhook.as_view(), name="webhook"),
    path("dossiers/<str:record>", dossiers.Dossier.as_view(), name="dossier"),
    path("node/status", node.Status.as_view(), name="node-status"),
    path("node/checkpoint", witness.WitnessCheckpoint.as_view(), name="node-checkpoint"),
    path("node/cosignature", witness.NewCosignature.as_view(), name="node-cosignature"),
    path("node/jobs/<uuid:job>", node.NodeJob.as_view(), name="node-job"),
    path("node/jobs/<uuid:job>/answer", node.NodeAnswer.as_view(), name="node-answer"),
    path("node/jobs/<uuid:job>/result", node.NodeResult.as_view(), name="node-result"),
    path("node/jobs/<uuid:job>/alarm", node.NodeAlarm.as_view(), name="node-alarm"),
    path("node/jobs/<uuid:job>/testimony", node.Testimony.as_view(), name="node-testimony"),
]
