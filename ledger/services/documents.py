"""Keep documents under the digest of their bytes."""

from concordat import canonical
from concordat.canonical import Json
from ledger.models import Document


def store(*, content: Json | bytes | str) -> str:
    """Keep a document and answer its digest; storing it again changes nothing.

    Bytes are kept as they are, text (a JWS) as UTF-8, any other value in canonical form.
    """
    match content:
        case bytes():
            data = content
        case str():
            data = content.encode()
        case _:
            data = canonical.encode(content)
    digest = canonical.digest(data)
    Document.objects.get_or_create(digest=digest, defaults={"content": data})
    return digest
