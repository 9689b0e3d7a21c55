"""How much a workflow folder and the code in it may take."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class WorkflowLimits:
    """`files` and `depth` bound the walk through the folder, `file_bytes` one file, `load_seconds` the loading of one,
    `call_seconds` one call of its function, `threads` the calls of synchronous functions at a time, and `wait_seconds`
    how long a call waits until Node begins with it; `node_memory_mib` is the heap that Node may have, `answer_bytes`
    the longest line it may send."""

    files: int = 1_000
    depth: int = 10
    file_bytes: int = 8 * MIB
    load_seconds: float = 30.0
    call_seconds: float = 30.0
    threads: int = 16
    wait_seconds: float = 60.0
    node_memory_mib: int = 512
    answer_bytes: int = 256 * MIB
