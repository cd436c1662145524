"""What is computed: model versions, jobs and their dispatch to the institutions' nodes."""

from django.apps import AppConfig


class ComputeConfig(AppConfig):
    name = "compute"
    verbose_name = "Computation"
