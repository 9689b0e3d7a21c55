"""What the services say of a request, in the words of this dialect: its fields, and settings as operators know them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from comfyserve.core.errors import Conflict, DomainError

TARGET, WEBHOOK, WEBHOOK_V2 = "target", "webhook", "webhook_v2"
UPLOAD_KEYS = ("s3", "hf_upload", "azure_blob_upload", "http_upload", "storage_upload")
USED = "The id was used for another request. Use a fresh id for each one, or send the same request again."
SETTINGS: Mapping[str, str] = {"allow_private_network": "COMFYSERVE_ALLOW_PRIVATE_NETWORK"}
OWN_ACCESS = "the server's own credentials"


@contextmanager
def in_our_words(fields: Mapping[str, Any]) -> Iterator[None]:
    """Let what is wrong be told with the fields of the request that are echoed."""
    try:
        yield
    except Conflict as error:
        error.message = USED if "run_id" in error.details else error.message
        raise
    except DomainError as error:
        error.message = sentence_of(error.message, fields)
        if error.place.field is not None:
            error.place = replace(error.place, field=field_of(error.place.field, fields))
        raise


def sentence_of(sentence: str, fields: Mapping[str, Any]) -> str:
    """A sentence with our names of fields and settings."""
    sentence = sentence.replace(f"{TARGET}.auth", OWN_ACCESS)
    if sentence.startswith((f"{WEBHOOK} ", f"{WEBHOOK}: ")):
        sentence = field_of(WEBHOOK, fields) + sentence.removeprefix(WEBHOOK)
    if (key := _upload(fields)) is not None:
        sentence = sentence.replace(f"{TARGET}.", f"{key}.")
    for name, told in SETTINGS.items():
        sentence = sentence.replace(name, told)
    return sentence


def field_of(field: str, fields: Mapping[str, Any]) -> str:
    """A field of the request as its caller calls it."""
    if field == WEBHOOK and WEBHOOK not in fields:
        return WEBHOOK_V2
    name, dot, rest = field.partition(".")
    key = _upload(fields)
    return f"{key}{dot}{rest}" if name == TARGET and key is not None else field


def _upload(fields: Mapping[str, Any]) -> str | None:
    return next((key for key in UPLOAD_KEYS if key in fields), None)
