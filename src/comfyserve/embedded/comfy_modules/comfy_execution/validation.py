"""Whether types fit."""

from comfyserve.embedded.validate.node_check import types_fit


def validate_node_input(received_type: str, input_type: str, strict: bool = False) -> bool:
    """Whether an output of one type may feed an input of another; strict wants every received type accepted."""
    if not strict or "*" in (received_type, input_type):
        return types_fit(received_type, input_type)
    return set(received_type.split(",")) <= set(input_type.split(","))
