"""The simulated model: pictures decided by prompt, seed and size, behind the one interface `Sampler`."""

from .marks import MARK, marks
from .sampler import OnStep, Preview, Sampler, Task
from .simulated import SimulatedSampler

SAMPLER: Sampler = SimulatedSampler()
"""The model behind all model nodes: the one place where another implementation is put in."""

__all__ = ["MARK", "SAMPLER", "OnStep", "Preview", "Sampler", "SimulatedSampler", "Task", "marks"]
