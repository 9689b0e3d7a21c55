"""The bell topics that only services ring and hear; those that workers hear stand beside the Bell in `ports`."""

DELIVERIES = "deliveries"


def run_topic(run_id: str) -> str:
    """Rings when something was recorded about this run."""
    return f"run:{run_id}"
