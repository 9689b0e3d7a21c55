"""Starts the emulators and makes fresh buckets in them."""

import base64
import hashlib
import hmac
import itertools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import IO, Literal
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hatch_build import find_node

HERE = Path(__file__).parent
START_SECONDS = 60.0
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that every azurite has; its key is public."""

ACCESS_KEY, SECRET_KEY = "AKIDEMULATED", "emulated-secret"

Kind = Literal["s3", "azure", "gcs"]
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Bucket:
    """A fresh, empty bucket or container of an emulator. `url` is the service's address, for Azure with the account.

    `environment` holds the variables by which an operator would name the service and its credentials.
    """

    kind: Kind
    name: str
    url: str
    environment: Mapping[str, str] = field(repr=False)

    @property
    def location(self) -> str:
        """The bucket in the words of the setting `blobs`, without a prefix."""
        return f"{ {'s3': 's3', 'azure': 'az', 'gcs': 'gs'}[self.kind] }://{self.name}"


def new_bucket(kind: Kind, url: str) -> Bucket:
    """Make a bucket in the service at this address."""
    name = f"bucket{os.getpid()}x{next(_numbers)}"  # moto does not decode the %2D that a GCS client sends
    makers = {"s3": _make_plain, "gcs": _make_plain, "azure": _make_container}
    makers[kind](url, name)
    return Bucket(kind, name, url, environment_of(kind, url))


def environment_of(kind: Kind, url: str) -> dict[str, str]:
    """The environment variables that open an emulator at an address."""
    if kind == "azure":
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": AZURE_ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY,
            "AZURE_STORAGE_ENDPOINT": url,
        }
    if kind == "gcs":
        return {"GOOGLE_SERVICE_ACCOUNT_KEY": service_account(), "GOOGLE_BASE_URL": url}
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }


@cache
def service_account() -> str:
    """The key of a service account that nobody has, as Google writes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "private_key": pem,
            "private_key_id": "emulated",
            "client_email": "emulated@example.com",
            "client_id": "1",
            "token_uri": "http://127.0.0.1:9/token",
        }
    )


@contextmanager
def moto() -> Iterator[str]:
    """moto's S3 service; gives its address.

    It stands for GCS, too. gcp-storage-emulator has the JSON interface, but of the XML one that obstore speaks only
    GET and PUT: no list, no delete, no multipart. GCS made its XML interface after S3's, and moto's S3 answers all of
    it (it checks no signature, neither GCS's nor S3's).
    """
    with _child([sys.executable, "-m", "tests.emulators.s3_server"], re.compile(r"(http://\S+)")) as url:
        yield url


@contextmanager
def azurite() -> Iterator[str]:
    """azurite's blob service; gives the address of its account. It checks signatures as Azure does."""
    node = find_node()
    if node is None or not (HERE / "node_modules" / "azurite").is_dir():
        raise FileNotFoundError("azurite is not installed; run script/setup test")
    command = [str(node.folder / "node"), str(HERE / "azurite.js"), "--inMemoryPersistence", "--disableTelemetry"]
    command += ["--blobHost", "127.0.0.1", "--blobPort", "0", "--skipApiVersionCheck"]
    with _child(command, re.compile(r"listens on (http://\S+)")) as url:
        yield f"{url}/{AZURE_ACCOUNT}"


@contextmanager
def _child(command: list[str], address: re.Pattern[str]) -> Iterator[str]:
    """A server that says its address on stdout and ends with its stdin."""
    child = subprocess.Popen(
        command, cwd=HERE.parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    late = threading.Timer(START_SECONDS, child.kill)
    late.start()
    try:
        assert child.stdout is not None
        url = _address(child.stdout, address)
        late.cancel()
        threading.Thread(target=child.stdout.read, daemon=True).start()
        yield url
    finally:
        late.cancel()
        child.kill()
        child.wait()


def _address(lines: IO[str], address: re.Pattern[str]) -> str:
    said = []
    for line in lines:
        said.append(line)
        if found := address.search(line):
            return found[1]
    raise RuntimeError("The emulator did not start:\n" + "".join(said))


def _make_plain(url: str, name: str) -> None:
    urlopen(Request(f"{url}/{name}", method="PUT"), timeout=START_SECONDS).close()


def _make_container(url: str, name: str) -> None:
    """Create a container, signed with the account's key (Azure's Shared Key scheme)."""
    when = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = f"x-ms-date:{when}\nx-ms-version:2021-08-06"
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{name}\nrestype:container"
    text = "PUT" + "\n" * 12 + f"{headers}\n{resource}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256)).decode()
    request = Request(f"{url}/{name}?restype=container", data=None, method="PUT")
    request.add_header("x-ms-date", when)
    request.add_header("x-ms-version", "2021-08-06")
    request.add_header("Authorization", f"SharedKey {AZURE_ACCOUNT}:{signature}")
    urlopen(request, timeout=START_SECONDS).close()
