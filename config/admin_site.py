"""Django's admin app, with the officers' own site in place of the usual one."""

from django.contrib.admin.apps import AdminConfig


class OfficersAdmin(AdminConfig):
    default_site = "governance.site.OfficersSite"
