"""Makes room for reviews of submissions. Reviews that were signed before cannot be taken over, because their officers
signed another statement; nothing is deleted: a database that holds any is left as it is."""

from django.db import migrations


def check_nothing_was_reviewed(apps, schema_editor):
    for name in ("ProtocolVersion", "Review", "Signature", "Definition", "Consent"):
        if apps.get_model("governance", name).objects.exists():
            raise RuntimeError(
                f"This database holds rows of {name} in a form that no release ever had. They cannot be converted, "
                "since what people signed cannot be signed for them. Keep this database for the record and begin a new one."
            )


class Migration(migrations.Migration):
    dependencies = [("governance", "0002_factors_and_key_changes")]

    operations = [
        migrations.RunPython(check_nothing_was_reviewed, migrations.RunPython.noop, elidable=True),
        migrations.DeleteModel("Signature"),
        migrations.DeleteModel("SigningChallenge"),
        migrations.DeleteModel("Review"),
    ]
