"""The bell topics that only services ring and hear; those that workers hear stand beside the Bell in `ports`."""

DELIVERIES = "deliveries"

DEPTH = "depth"
"""Rings when a run was queued or has ended."""


def run_topic(run_id: str) -> str:
    """Rings when something was recorded about this run."""
    return f"run:{run_id}"


def end_topic(run_id: str) -> str:
    """Rings when this run may have ended: who waits for the end only is not woken by what comes before."""
    return f"end:{run_id}"


def machine_state_topic(machine_id: str) -> str:
    """Rings when the state of this machine may have changed, in the process of its workers."""
    return f"machine-state:{machine_id}"
