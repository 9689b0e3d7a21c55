"""The options of a run between its submit and its claim: what is shown of them, and under seal what is not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from comfyserve.core.conversion import read_conversion, write_conversion
from comfyserve.core.credentials import read_credentials, write_auth
from comfyserve.core.errors import Place, TooLarge
from comfyserve.core.logins import bare_address
from comfyserve.core.options import RunOptions
from comfyserve.core.targets import TargetWish, read_target, write_target
from comfyserve.db.rows import Row
from comfyserve.services.records import WebhookWish
from comfyserve.services.sealing import Sealing

MAX_SEALED = 256 * 1024
"""Characters of the JSON of credentials and target."""


def kept(options: RunOptions, sealing: Sealing) -> dict[str, Any]:
    """The columns of a new run: `options` may be seen by everybody who sees the run, `sealed_options` holds the secrets
    for as long as the run has not ended. Raises TooLarge."""
    shown: dict[str, Any] = {}
    if options.convert is not None:
        shown["convert_output"] = write_conversion(options.convert)
    if options.target is not None:
        shown["target"] = _without_secrets(options.target)
    secret = _secret(options)
    text = json.dumps(secret)
    if len(text) > MAX_SEALED:
        raise TooLarge(f"The credentials have over {MAX_SEALED} characters.", place=Place(field="credentials"))
    return {"options": shown or None, "sealed_options": sealing.seal(text) if secret else None}


def kept_wish(wish: WebhookWish, sealing: Sealing) -> dict[str, Any]:
    """A webhook as it is kept: an address with a login is shown without it, and whole under seal."""
    bare = bare_address(wish.url)
    return {**asdict(wish), "url": bare} | ({"sealed": sealing.seal(wish.url)} if bare != wish.url else {})


def called(wishes: Sequence[Mapping[str, str]] | None, url: str, form: str, sealing: Sealing) -> str:
    """The address of an owed call, which is kept without a login, with it. Raises SealBroken."""
    whole = (one["sealed"] for one in wishes or () if one["url"] == url and one["format"] == form and "sealed" in one)
    return next((sealing.open(one) for one in whole), url)


def opened(row: Row, sealing: Sealing) -> RunOptions:
    """The options of a run that has not ended. Raises SealBroken."""
    shown = row["options"] or {}
    secret = json.loads(sealing.open(row["sealed_options"])) if row["sealed_options"] else {}
    target = secret.get("target")
    return RunOptions(
        credentials=read_credentials(secret.get("credentials")),
        convert=read_conversion(shown.get("convert_output")),
        target=None if target is None else read_target(target),
    )


def digest_of(options: RunOptions, sealing: Sealing) -> str:
    """The same for the same options."""
    convert = None if options.convert is None else write_conversion(options.convert)
    return sealing.digest(json.dumps([_secret(options), convert], sort_keys=True))


def _secret(options: RunOptions) -> dict[str, Any]:
    secret: dict[str, Any] = {}
    if options.credentials:
        secret["credentials"] = [
            {"url_pattern": one.url_pattern, "auth": write_auth(one.auth)} for one in options.credentials
        ]
    if options.target is not None:
        secret["target"] = write_target(options.target)
    return secret


def _without_secrets(target: TargetWish) -> dict[str, Any]:
    """A target as it is shown: not what opens it, and of an address only host and path."""
    shown = {name: value for name, value in write_target(target).items() if name != "auth"}
    if "url_prefix" in shown:
        parts = urlsplit(shown["url_prefix"])
        shown["url_prefix"] = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return shown
