"""Files as inputs of nodes: which field names one, which a graph names, and what a file is."""

from comfyserve.core.addresses import ASSET_PREFIX, is_outside
from comfyserve.core.media.fields import FIELDS, MediaFields, MediaKind, fits, media_fields
from comfyserve.core.media.places import (
    INPUT_ID_META,
    MEDIA_META,
    MediaPlace,
    check_media_names,
    label_of,
    listed,
    media_places,
    renamed,
)
from comfyserve.core.media.types import (
    ENDINGS,
    MODEL_ENDINGS,
    TYPES,
    UNKNOWN_TYPE,
    extension_of,
    sniff_mime,
    type_of,
)

__all__ = [
    "ASSET_PREFIX",
    "ENDINGS",
    "FIELDS",
    "INPUT_ID_META",
    "MEDIA_META",
    "MODEL_ENDINGS",
    "TYPES",
    "UNKNOWN_TYPE",
    "MediaFields",
    "MediaKind",
    "MediaPlace",
    "check_media_names",
    "extension_of",
    "fits",
    "is_outside",
    "label_of",
    "listed",
    "media_fields",
    "media_places",
    "renamed",
    "sniff_mime",
    "type_of",
]
