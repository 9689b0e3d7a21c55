"""Storages that operators add by packages of their own: entry points of the group `comfyserve.storages`."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

import structlog

from comfyserve.core.addresses import add_schemes
from comfyserve.core.errors import InvalidInput
from comfyserve.ports import Storage, Storages

GROUP = "comfyserve.storages"

log = structlog.get_logger(__name__)


@cache
def load_storages() -> Storages:
    """Those that are installed, by scheme: the name of an entry point is a scheme, what it names is called without
    arguments. Raises InvalidInput for one that cannot be loaded, since its files would be missed only later."""
    found = {point.name: _load(point) for point in entry_points(group=GROUP)}
    add_schemes(found)
    if found:
        log.info("storages_added", schemes=sorted(found))
    return found


def _load(point: EntryPoint) -> Storage:
    try:
        storage: Storage = point.load()()
    except Exception as error:
        raise InvalidInput(f"The storage {point.name} ({point.value}) cannot be loaded: {error}") from error
    if not hasattr(storage, "read") and not hasattr(storage, "write"):
        raise InvalidInput(f"The storage {point.name} ({point.value}) has neither a method read nor write.")
    return storage
