"""The officers' site: pages to read, and buttons with names that call the services. Nothing is edited in place."""

from django.contrib import admin
from django_otp.plugins.otp_totp.models import TOTPDevice

from governance.admin import boards, institutions, letters, log, meetings, people, records, reliance, studies

admin.site.site_header = "Concordat"
admin.site.site_title = "Concordat"
admin.site.index_title = "Governance"
admin.site.enable_nav_sidebar = False
admin.site.site_url = None
admin.site.unregister(TOTPDevice)  # an officer's own pages show what there is to see of it

__all__ = ["boards", "institutions", "letters", "log", "meetings", "people", "records", "reliance", "studies"]
