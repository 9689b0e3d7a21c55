"""HTTP PUT to a caller's address."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
from yarl import URL

from comfyserve.blobs.targets.names import join
from comfyserve.blobs.targets.outside import Outside
from comfyserve.blobs.theirs import Theirs
from comfyserve.core.credentials import Auth, BasicAuth, BearerAuth, HeaderAuth, QueryAuth
from comfyserve.core.errors import FetchFailed, FetchRefused, InvalidInput, Place, TargetFailed
from comfyserve.core.headers import basic, is_for_callers, is_value
from comfyserve.core.own_header import OwnHeader, advice_for
from comfyserve.core.targets import HttpTarget
from comfyserve.ports import ByteStream

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
DENIED = frozenset({401, 403, 407})
NO_HEADER = "target.auth has a value that no header can have."


class HttpWriter:
    """The Target port on an address: a file is PUT to `<url_prefix>/<name>`. Redirects are not followed: what has been
    read of a stream cannot be sent again, and the caller named this host."""

    at_once = 4

    def __init__(
        self,
        wish: HttpTarget,
        outside: Outside,
        session: aiohttp.ClientSession,
        idle_seconds: float,
        own: OwnHeader | None = None,
    ) -> None:
        """`own` is the operator's header, for a wish without credentials. Raises InvalidInput for a prefix or
        credentials that cannot be."""
        self._prefix = read_prefix(wish.url_prefix)
        auth, bare = wish.auth, str(self._prefix.with_user(None))
        if auth is None and self._prefix.user is None and own is not None:
            auth = own.for_url(bare)
        self._headers, self._query = opened_by(auth, self._prefix)
        self._advice = "" if auth is not None or self._prefix.user is not None else advice_for(own, bare)
        self._prefix = self._prefix.with_user(None)
        self._outside = outside
        self._session = session
        self._seconds = idle_seconds

    def address(self, name: str) -> str:
        """The address without credentials."""
        path = quote(join("", name, "url_prefix"))
        return f"{str(self._prefix).rstrip('/')}/{path}"

    async def put(self, name: str, content: ByteStream, *, size: int, mime: str) -> str:
        """Send a file; the answer is its address without credentials. Raises TargetFailed."""
        address = self.address(name)
        theirs = Theirs(content)
        try:
            status = await self._send(address, theirs.pieces(), size, mime)
        except FetchRefused as error:
            raise TargetFailed(error.message) from None
        except FetchFailed as error:
            raise TargetFailed(error.message, retryable=error.retryable) from None
        except (aiohttp.ClientError, OSError) as error:
            if theirs.raised is not None and not isinstance(theirs.raised, asyncio.CancelledError | GeneratorExit):
                raise theirs.raised from None
            raise TargetFailed(f"{self._prefix.host} {_what(error)}.", retryable=True) from None
        self._check(status)
        return address

    async def _send(self, address: str, content: ByteStream, size: int, mime: str) -> int:
        """The status of the answer. Raises TimeoutError when nothing moves for the time."""
        url, proxy = await self._outside.allow(address)
        headers = {**self._headers, "Content-Length": str(size), "Content-Type": mime or "application/octet-stream"}
        url = URL(str(url), encoded=True).update_query(self._query) if self._query else URL(address, encoded=True)
        async with asyncio.timeout(self._seconds) as clock:
            body = _exactly(content, size, clock, self._seconds)
            async with self._session.put(url, data=body, headers=headers, proxy=proxy, allow_redirects=False) as answer:
                return answer.status

    def _check(self, status: int) -> None:
        if 200 <= status < 300:
            return
        host = self._prefix.host
        if status in DENIED:
            raise TargetFailed(f"{host} refuses the file ({status}). Check target.auth.{self._advice}")
        if 300 <= status < 400:
            raise TargetFailed(f"{host} answers with a redirect ({status}). Give the final address in url_prefix.")
        if status in RETRYABLE:
            raise TargetFailed(f"{host} does not work at the moment ({status}).", retryable=True)
        raise TargetFailed(f"{host} refuses the file ({status}).")


def _what(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return "cannot be reached"
    return (
        "does not take the file or does not answer" if isinstance(error, TimeoutError) else "broke the connection off"
    )


async def _exactly(content: ByteStream, size: int, clock: asyncio.Timeout, seconds: float) -> AsyncIterator[bytes]:
    """The stream; each piece that is taken moves the timeout on. A wrong size breaks the request off."""
    now = asyncio.get_running_loop().time
    left = size
    async for chunk in content:
        left -= len(chunk)
        if left < 0:
            break
        clock.reschedule(now() + seconds)
        yield chunk
    if left:
        raise TargetFailed("The file has another size than was announced.", retryable=True)
    clock.reschedule(now() + seconds)


def read_prefix(text: str) -> URL:
    """The address below which files are put. Raises InvalidInput."""
    place = Place(field="target.url_prefix")
    try:
        url = URL(text)
        fine = url.scheme in ("http", "https") and bool(url.host) and bool(url.port)
    except ValueError:
        fine = False
    if not fine:
        raise InvalidInput("target.url_prefix must be an http or https URL.", place=place)
    if url.raw_query_string or url.raw_fragment:
        raise InvalidInput(
            "target.url_prefix has a query or a fragment, behind which no name fits. Give a query in target.auth.",
            place=place,
        )
    return url


def opened_by(auth: Auth | None, prefix: URL) -> tuple[dict[str, str], dict[str, str]]:
    """The headers and the query that open the address: the caller's credentials, else those in the URL.

    Raises InvalidInput for what cannot be sent."""
    if auth is None and prefix.user is not None:
        auth = BasicAuth(prefix.user, prefix.password or "")
    headers: dict[str, str] = {}
    match auth:
        case None:
            return {}, {}
        case QueryAuth():
            return {}, {auth.query_param: auth.query_value}
        case BearerAuth():
            headers = {"Authorization": f"Bearer {auth.token}"}
        case BasicAuth():
            headers = {"Authorization": _basic(auth)}
        case HeaderAuth():
            headers = {auth.header_name: auth.header_value}
        case _:
            raise _wrong_auth("An HTTP target takes auth of the types bearer, basic, header and query.")
    for name, value in headers.items():
        if not is_for_callers(name):
            raise _wrong_auth("target.auth names a header that cannot be set.")
        if not is_value(value):
            raise _wrong_auth(NO_HEADER)
    return headers, {}


def _basic(auth: BasicAuth) -> str:
    try:
        return basic(auth.username, auth.password)
    except UnicodeEncodeError:
        raise _wrong_auth(NO_HEADER) from None


def _wrong_auth(sentence: str) -> InvalidInput:
    return InvalidInput(sentence, place=Place(field="target.auth"))
