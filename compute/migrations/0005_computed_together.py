from django.db import migrations, models


class Migration(migrations.Migration):
    """What waits while this is applied is computed by itself: how many what-ifs it has, only its request says."""

    dependencies = [("compute", "0004_packages_and_notices")]

    operations = [
        migrations.AddField("job", "what_ifs", models.PositiveSmallIntegerField(default=0, help_text="How many variants follow each record.")),
        migrations.AddField("job", "put_back", models.PositiveSmallIntegerField(default=0, help_text="How often nodes were too busy to take it.")),
        migrations.AddField("job", "alone", models.BooleanField(default=True)),
        migrations.AlterField("job", "alone", models.BooleanField(default=False, help_text="Others fell out once: it is computed by itself.")),
        migrations.AddField("job", "batch", models.UUIDField(db_index=True, null=True, help_text="What the ticket names; all with it run at once.")),
        migrations.AddField("batch", "runs", models.PositiveSmallIntegerField(default=0, help_text="How many records it was dealt for."), preserve_default=False),
    ]
