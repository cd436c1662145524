"""What is computed: model versions, jobs and their dispatch to the institutions' nodes."""

from django.apps import AppConfig


class ComputeConfig(AppConfig):
    name = "compute"
    verbose_name = "Computation"

    def ready(self) -> None:
        from compute.services import witnessing
        from ledger.services.publish import head_published

        head_published.connect(witnessing.ask)
