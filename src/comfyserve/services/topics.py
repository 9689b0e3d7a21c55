"""The bell topics that the services ring."""

STOP = "stop"
DELIVERIES = "deliveries"


def machine_topic(machine_id: str) -> str:
    """Rings when a run of this machine is queued."""
    return f"machine:{machine_id}"


def run_topic(run_id: str) -> str:
    """Rings when something was recorded about this run."""
    return f"run:{run_id}"
