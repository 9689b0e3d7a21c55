"""What stands in the way of a conversion, collected node by node and told at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from comfyserve.core.errors import InvalidGraph, Place

SHOWN_PROBLEMS = 5
TOLD_PROBLEMS = 200


@dataclass(frozen=True)
class Problem:
    """A node that cannot be converted, and why; the id is the one it would have in the API form."""

    node_id: str
    class_type: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        """The problem as it stands in an error's details."""
        return {"node_id": self.node_id, "class_type": self.class_type, "reason": self.reason}


def malformed(sentence: str, node_id: str | None = None) -> InvalidGraph:
    """The error for something that no editor saves."""
    return InvalidGraph(sentence, place=Place(node_id=node_id), details={"form": "editor"})


def refuse(problems: Sequence[Problem]) -> InvalidGraph:
    """The error that names every node at fault; the first ones in its sentence, up to 200 in its details."""
    shown = "; ".join(f"node {one.node_id} ({one.class_type}): {one.reason}" for one in problems[:SHOWN_PROBLEMS])
    more = f"; and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
    count = "1 node" if len(problems) == 1 else f"{len(problems)} nodes"
    return InvalidGraph(
        f"{count} of this editor workflow cannot be converted to the API form: {shown}{more}.",
        place=Place(node_id=problems[0].node_id),
        details={"form": "editor", "nodes": [one.as_dict() for one in problems[:TOLD_PROBLEMS]]},
    )
