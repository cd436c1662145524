"""The admin site shows log and anchors to who may see them, and lets nobody change them."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory

from ledger.models import Anchor, LogEntry
from ledger.services.publish import publish

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_of_everybodys_master(write, settings):
    settings.ANCHOR_ADDRESS = "0x" + "11" * 20
    write(2)
    publish()
    request = RequestFactory().get("/admin/")
    request.user = User(username="root", is_superuser=True, is_staff=True, is_active=True)
    return request


@pytest.mark.parametrize("model", [LogEntry, Anchor])
def test_not_even_a_superuser_adds_changes_or_deletes(request_of_everybodys_master, model):
    pages, request = admin.site._registry[model], request_of_everybodys_master
    assert pages.has_view_permission(request)
    assert not pages.has_add_permission(request)
    assert not pages.has_change_permission(request)
    assert not pages.has_delete_permission(request)
    assert pages.get_actions(request) == {}


@pytest.mark.parametrize("model", [LogEntry, Anchor])
def test_the_list_and_the_page_can_be_rendered(request_of_everybodys_master, model):
    pages, request = admin.site._registry[model], request_of_everybodys_master
    assert pages.changelist_view(request).render().status_code == 200
    assert pages.change_view(request, str(model.objects.first().pk)).render().status_code == 200


def test_a_self_hosted_chain_is_called_so(request_of_everybodys_master, settings):
    pages, anchor = admin.site._registry[Anchor], Anchor.objects.get()
    settings.CHAIN_SELF_HOSTED = True
    assert pages.where(anchor) == "self-hosted anchor"
    settings.CHAIN_SELF_HOSTED = False
    assert pages.where(anchor) == "chain 31338"
