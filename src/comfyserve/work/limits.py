"""The bounds of a worker; what an operator may want to change is a setting, and `app` passes it in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkLimits:
    """Sizes in bytes, times in seconds.

    `ahead`: runs claimed while another executes. `stage_grace`: how long the files of a run may take before it steps
    aside for others.
    `outside_each`, `outside`: runs of one key, and of all, that wait for downloads or send to targets.
    `storing_each`, `storing`: runs of one key, and of all, that wait for our storage, finished ones above all.
    `collect`: how long storing the outputs of a run may take, and sending them to a target again so long; 0 for ever.
    `poll`: how long a missed bell costs at most. `lease`: how long a claim holds without a renewal.
    `interrupt_grace`: how long an interrupted engine may take before it is restarted.
    `storage`: how long our storage, or a caller's target, may take nothing of a file. `storage_tries`, `target_tries`:
    how often a file is offered to them; `storage_pause`: how long after the first time, twice as long after each other.
    `value_chars`, `values_chars`: of one text, and of all texts of a run.
    `inputs`: files and models that one run may name by address.
    `transfers`: files, and models, of one run that are brought to the engine at the same time.
    `catalogue`: how old what we know of the engine's nodes and models may become while it is idle.
    """

    ahead: int = 1
    stage_grace: float = 1.0
    outside_each: int = 8
    outside: int = 32
    storing_each: int = 4
    storing: int = 16
    collect: float = 3600.0
    transfers: int = 8
    poll: float = 1.0
    lease: float = 30.0
    interrupt_grace: float = 10.0
    catalogue: float = 60.0
    drain: float = 30.0
    inputs: int = 1000
    input_bytes: int = 250 * 1024 * 1024
    output_bytes: int = 4 * 1024 * 1024 * 1024
    outputs: int = 1000
    value_chars: int = 100_000
    values_chars: int = 1_000_000
    storage: float = 120.0
    storage_pause: float = 0.5
    storage_tries: int = 10
    target_tries: int = 6
