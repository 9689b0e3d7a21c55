"""The error types of `POST /prompt` and their messages (spec section 2)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class PromptError(StrEnum):
    """`error.type` at the top of a 400 answer."""

    NO_PROMPT = "no_prompt"
    INVALID_PROMPT = "invalid_prompt"
    MISSING_NODE_TYPE = "missing_node_type"
    NO_OUTPUTS = "prompt_no_outputs"
    OUTPUTS_FAILED = "prompt_outputs_failed_validation"
    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    QUEUE_FULL = "queue_full"


class NodeError(StrEnum):
    """`type` of one entry of `node_errors[id].errors`."""

    REQUIRED_INPUT_MISSING = "required_input_missing"
    BAD_LINKED_INPUT = "bad_linked_input"
    RETURN_TYPE_MISMATCH = "return_type_mismatch"
    INVALID_INPUT_TYPE = "invalid_input_type"
    VALUE_SMALLER_THAN_MIN = "value_smaller_than_min"
    VALUE_BIGGER_THAN_MAX = "value_bigger_than_max"
    VALUE_NOT_IN_LIST = "value_not_in_list"
    CUSTOM_VALIDATION_FAILED = "custom_validation_failed"
    EXCEPTION_INNER = "exception_during_inner_validation"
    EXCEPTION = "exception_during_validation"
    DEPENDENCY_CYCLE = "dependency_cycle"


PROMPT_MESSAGES: Final = {
    PromptError.NO_PROMPT: "No prompt provided",
    PromptError.NO_OUTPUTS: "Prompt has no outputs",
    PromptError.OUTPUTS_FAILED: "Prompt outputs failed validation",
}
"""Types of ours only: invalid_json, invalid_request, queue_full, and dependency_cycle among the node errors."""

MISSING_CLASS_TYPE: Final = "Cannot execute because a node is missing the class_type property."
UNKNOWN_CLASS: Final = "Cannot execute because node {class_type} does not exist."

NODE_MESSAGES: Final = {
    NodeError.REQUIRED_INPUT_MISSING: "Required input is missing",
    NodeError.BAD_LINKED_INPUT: "Bad linked input, must be a length-2 list of [node_id, slot_index]",
    NodeError.RETURN_TYPE_MISMATCH: "Return type mismatch between linked nodes",
    NodeError.INVALID_INPUT_TYPE: "Failed to convert an input value to a {type} value",
    NodeError.VALUE_SMALLER_THAN_MIN: "Value {value} smaller than min of {bound}",
    NodeError.VALUE_BIGGER_THAN_MAX: "Value {value} bigger than max of {bound}",
    NodeError.VALUE_NOT_IN_LIST: "Value not in list",
    NodeError.CUSTOM_VALIDATION_FAILED: "Custom validation failed for node",
    NodeError.EXCEPTION_INNER: "Exception when validating inner node",
    NodeError.EXCEPTION: "Exception when validating node",
    NodeError.DEPENDENCY_CYCLE: "Dependency cycle: a node needs its own result",
}

LONG_LIST: Final = 20
"""A choice of more options than this is not spelled out in `value_not_in_list`."""
