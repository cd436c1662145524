"""What every page of the site says of itself to the person who reads it."""

from django import template
from django.contrib.auth.models import User

from governance import selectors

register = template.Library()


@register.simple_tag
def unread(user: User) -> int:
    """How many messages this person has not read."""
    return selectors.unread(user)
