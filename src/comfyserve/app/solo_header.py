"""The addresses that the operator of solo configured, and the header for HTTP that goes to their hosts."""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from comfyserve.core.own_header import OwnHeader
from comfyserve.provision import read_manifest
from comfyserve.solo_settings import SoloSettings


def own_header(settings: SoloSettings) -> OwnHeader | None:
    """None without one. Raises InvalidInput for a header or a manifest that cannot be."""
    name, value = settings.http_auth_header_name, settings.http_auth_header_value.get_secret_value()
    if not name:
        return None
    hosts = settings.http_auth_hosts.replace(",", " ").split() or list(_hosts(configured_addresses(settings)))
    return OwnHeader.read(name, value, hosts)


def configured_addresses(settings: SoloSettings) -> list[str]:
    """That of the warm-up, and those of the manifest's models. Raises InvalidInput for a manifest that cannot be."""
    manifest = read_manifest(settings.manifest_json, settings.manifest)
    models = () if manifest is None else (*manifest.before_start, *manifest.after_start)
    return [url for url in (settings.warmup_url, *(model.url for model in models)) if url]


def _hosts(urls: Iterable[str]) -> Iterator[str]:
    for url in urls:
        if url.lower().startswith(("http://", "https://")) and (host := urlsplit(url).hostname):
            yield host
