"""Stage: everything a graph names is put where its engine finds it, and the graph says so."""

from comfyserve.work.stage.holding import Holding, nobody
from comfyserve.work.stage.reports import Reports
from comfyserve.work.stage.stage import Stage, Staged

__all__ = ["Holding", "Reports", "Stage", "Staged", "nobody"]
