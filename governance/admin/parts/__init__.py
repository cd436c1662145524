"""Parts of a study's page: each a function from the study and its reader to what the part's template shows."""

from governance.admin.parts.attachments import attachments
from governance.admin.parts.comments import comments
from governance.admin.parts.data_use import data_use
from governance.admin.parts.incidents import incidents
from governance.admin.parts.paper import paper

__all__ = ["attachments", "comments", "data_use", "incidents", "paper"]
