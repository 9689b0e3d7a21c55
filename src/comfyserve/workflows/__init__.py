"""Custom workflow endpoints: files of the workflow folder, each an endpoint with inputs of its own.

Authors import `ctx` and `random_seed`; the program calls `load_workflows`.
"""

from comfyserve.workflows.authors import ctx, random_seed
from comfyserve.workflows.folder import LoadedWorkflow, WorkflowFolder, load_workflows
from comfyserve.workflows.limits import WorkflowLimits
from comfyserve.workflows.names import WorkflowContext

__all__ = [
    "LoadedWorkflow",
    "WorkflowContext",
    "WorkflowFolder",
    "WorkflowLimits",
    "ctx",
    "load_workflows",
    "random_seed",
]
