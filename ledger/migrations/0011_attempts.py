import django.db.models.deletion
from django.db import migrations, models
from django.utils import timezone


def keep_signings(apps, schema_editor):
    """What is on its way, or may come back from a block that is not final, has one signing so far."""
    transactions = apps.get_model("ledger", "ChainTransaction").objects.using(schema_editor.connection.alias)
    attempts = apps.get_model("ledger", "Attempt").objects.using(schema_editor.connection.alias)
    for row in transactions.filter(state__in=("sent", "mined"), raw__isnull=False).exclude(hash=""):
        attempts.create(
            transaction=row,
            account_id=row.account_id,
            nonce=row.nonce,
            block=row.block or 0,
            raw=row.raw,
            hash=row.hash,
            signed=timezone.now(),
        )


class Migration(migrations.Migration):
    dependencies = [("ledger", "0010_search")]

    operations = [
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("nonce", models.PositiveBigIntegerField()),
                ("block", models.PositiveBigIntegerField()),
                ("raw", models.BinaryField()),
                ("hash", models.CharField(max_length=66, unique=True)),
                ("signed", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.chainaccount",
                    ),
                ),
                (
                    "transaction",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attempts",
                        to="ledger.chaintransaction",
                    ),
                ),
            ],
            options={"ordering": ("id",)},
        ),
        migrations.RunPython(keep_signings, migrations.RunPython.noop),
    ]
