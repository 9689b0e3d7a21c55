"""The simulated model: pictures decided by prompt, seed and size, behind the one interface `Sampler`."""

from .marks import MARK, marks
from .sampler import OnStep, Preview, Sampler, Task
from .simulated import SimulatedSampler

__all__ = ["MARK", "OnStep", "Preview", "Sampler", "SimulatedSampler", "Task", "marks"]
