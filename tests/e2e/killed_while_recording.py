"""`comfyserve up` whose ledger ends the process with SIGKILL when a fact of the kind in argv is about to be written."""

import os
import signal
import sys
from collections.abc import Sequence

import uvloop

from comfyserve.core.runs import Fact, Run
from comfyserve.ports import StoredOutput
from comfyserve.server import serve
from comfyserve.services.record import Record
from comfyserve.settings import read_settings


class DyingRecord(Record):
    """Ends the process instead of recording the fact."""

    async def apply(self, run_id: str, token: str, facts: Sequence[Fact], outputs: Sequence[StoredOutput] = ()) -> Run:
        """Record, unless the fact is among these."""
        if sys.argv[1] in [fact.kind.value for fact in facts]:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().apply(run_id, token, facts, outputs)


if __name__ == "__main__":
    sys.exit(uvloop.run(serve(read_settings(), ledger=DyingRecord)))
