"""Officers see whether their own institution's systems are told what happens; nothing can be changed there."""

from django.test import Client
from django.urls import reverse

from api.webhooks import endpoints
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in as browser


def test_an_officer_sees_how_the_own_institutions_webhooks_do(consortium: Consortium) -> None:
    made = {
        slug: endpoints.register(
            institution=consortium.at[slug], url=f"https://{slug}.example/told", events=["key.changed"]
        )
        for slug in ("zurich", "cleveland")
    }
    made["zurich"].state, made["zurich"].last_failure = "disabled", "no-answer"
    made["zurich"].save()
    client: Client = browser(consortium.chairs["zurich"].user)
    page = client.get(reverse("admin:api_webhook_changelist")).content.decode()
    assert "https://zurich.example/told" in page
    assert "Disabled, as it failed for days" in page
    assert "no-answer" in page
    assert "cleveland.example" not in page
    own = reverse("admin:api_webhook_change", args=[made["zurich"].pk])
    assert client.get(own).status_code == 200
    assert client.post(own, {"url": "https://elsewhere.example/"}).status_code == 403
    others = reverse("admin:api_webhook_change", args=[made["cleveland"].pk])
    assert "cleveland.example" not in client.get(others, follow=True).content.decode()
