"""Who calls: as everywhere, and also by a token in the query (section 1.2)."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from comfyserve.apis.http.auth import authenticate
from comfyserve.services.records import Caller

QUERY = "cd_token"


async def _caller(request: Request) -> Caller:
    return await authenticate(request, query=QUERY)


TokenHolder = Annotated[Caller, Depends(_caller)]
"""The caller of a route of this dialect."""
