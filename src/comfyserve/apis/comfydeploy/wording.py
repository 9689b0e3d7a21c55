"""The sentences that ComfyDeploy's clients know, in place of our own."""

from collections.abc import Iterator
from contextlib import contextmanager

from comfyserve.core.errors import NotFound

RUN = "Run not found"
DEPLOYMENT = "Deployment not found"
MACHINE = "Machine not found"
WORKFLOW = "Workflow not found or you don't have access to it"
VERSION = "Workflow version not found or you don't have access to it"
FOREIGN_RUN = "You are not authorized to access this resource"


@contextmanager
def missing(sentence: str) -> Iterator[None]:
    """Say `sentence` when something is not found; a file that an input names keeps its own words."""
    try:
        yield
    except NotFound as error:
        if error.place.node_id is not None:
            raise
        raise NotFound(sentence, place=error.place) from error
