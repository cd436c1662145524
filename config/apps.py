"""Registers the production checks and sets logging up: JSON lines of allow-listed keys, without tracebacks."""

from django.apps import AppConfig

from concordat import logs


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        import config.checks  # noqa: F401

        logs.configure()
