"""Where the links in an answer lead: to the address that its request came to, unless the operator has named one."""

import re
from urllib.parse import urlsplit

from fastapi import Request

from comfyserve.apis.stateless.options import stateless_of

HOST = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?")
"""A host name or an address, perhaps with a port (RFC 9110 section 7.2)."""
LAST_PORT = 65535


def origin_of(request: Request) -> str:
    """Scheme and host of a request, as `http://host:port`; empty where the operator has named the address of the
    server, or where the request names no host."""
    host = request.headers.get("host", "")
    found = HOST.fullmatch(host)
    if stateless_of(request).public_links or found is None or int(found["port"] or 0) > LAST_PORT:
        return ""
    return f"{request.scope['scheme']}://{host}"


def linked(url: str | None, origin: str) -> str | None:
    """A link of ours, at an origin; as it is without one."""
    if url is None or not origin:
        return url
    scheme, _, host = origin.partition("://")
    return urlsplit(url)._replace(scheme=scheme, netloc=host).geturl()
