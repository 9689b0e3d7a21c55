"""The operator's own header for HTTP: HTTP_AUTH_HEADER_NAME and _VALUE, and the hosts that get it."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from comfyserve.core.own_header import OwnHeader
from comfyserve.provision import read_manifest
from comfyserve.solo_settings import SoloSettings


def own_header(settings: SoloSettings) -> OwnHeader | None:
    """None without one. Raises InvalidInput for a header or a manifest that cannot be."""
    name, value = settings.http_auth_header_name, settings.http_auth_header_value.get_secret_value()
    if not name:
        return None
    hosts = settings.http_auth_hosts.replace(",", " ").split() or list(_hosts(settings))
    return OwnHeader.read(name, value, hosts)


def _hosts(settings: SoloSettings) -> Iterator[str]:
    """Where the operator's own addresses lead: that of the warm-up, and those of the manifest's models."""
    manifest = read_manifest(settings.manifest_json, settings.manifest)
    models = () if manifest is None else (*manifest.before_start, *manifest.after_start)
    for url in (settings.warmup_url, *(model.url for model in models)):
        if url.lower().startswith(("http://", "https://")) and (host := urlsplit(url).hostname):
            yield host
