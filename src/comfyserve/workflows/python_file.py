"""Workflows written in Python: a Pydantic model and a function that returns a graph."""

import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from comfyserve.core.errors import InvalidInput
from comfyserve.workflows.calls import Threads, TookTooLong
from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.limits import WorkflowLimits
from comfyserve.workflows.model import ParsedInput, as_graph
from comfyserve.workflows.model_read import ModelRead
from comfyserve.workflows.names import KnownNames, within
from comfyserve.workflows.wrong import not_generated, reason_of

MODEL_NAMES = ("Input", "RequestSchema")
FUNCTION_NAMES = ("generate", "generate_workflow", "generateWorkflow")
PRIVATE = "_comfyserve_workflow_files"
"""Modules of workflow files live under this name, one package per loaded file."""

_numbers = itertools.count(1)


class _Source(SourceFileLoader):
    """Loads a source file and writes nothing beside it."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Compiled code is not kept."""

    def get_code(self, fullname: str) -> Any:
        """Compiled from the source each time: the file may have changed within the precision of its time."""
        return self.source_to_code(self.get_data(self.path), self.path)


class _Neighbours(importlib.abc.MetaPathFinder):
    """Finds what workflow files import from their own folder (`from ._shared import ...`)."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The file or folder of that name; None for modules that are not workflow files'."""
        if not fullname.startswith(f"{PRIVATE}_") or path is None:
            return None
        name = fullname.rpartition(".")[2]
        for folder in map(Path, path):
            if (file := folder / f"{name}.py").is_file():
                return _spec(fullname, file)
            if (folder / name).is_dir():
                return _folder_spec(fullname, folder / name)
        return None


_NEIGHBOURS = _Neighbours()


def load_module(file: Path) -> ModuleType:
    """Run a file as a module of a package of its own. Raises whatever the file raises."""
    if _NEIGHBOURS not in sys.meta_path:
        sys.meta_path.append(_NEIGHBOURS)
    package = f"{PRIVATE}_{next(_numbers)}"
    sys.modules[package] = importlib.util.module_from_spec(_folder_spec(package, file.parent))
    spec = _spec(f"{package}.workflow", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        _Source(spec.name, str(file)).exec_module(module)
    except BaseException:
        forget_module(module)
        raise
    return module


def forget_module(module: ModuleType) -> None:
    """Take a file's package, and what it imported from its folder, out of the loaded modules."""
    package = module.__name__.partition(".")[0]
    for name in [known for known in sys.modules if known == package or known.startswith(f"{package}.")]:
        del sys.modules[name]


class PythonWorkflow(ModelRead):
    """One Python file as a workflow."""

    def __init__(self, path: str, module: ModuleType, names: KnownNames, threads: Threads, seconds: float) -> None:
        self.path = path
        self._module = module
        super().__init__(_model(module), names)
        self._function = _function(module)
        self._threads = threads
        self._seconds = seconds

    @property
    def summary(self) -> str:
        """The file's `summary`, else its name."""
        return str(getattr(self._module, "summary", "") or self.path.rpartition("/")[2])

    @property
    def description(self) -> str:
        """The file's `description`, else what stands at its top."""
        return str(getattr(self._module, "description", "") or inspect.getdoc(self._module) or "")

    async def graph(self, parsed: Mapping[str, Any]) -> Mapping[str, Any]:
        """The graph that the function gives. Raises InvalidInput."""
        around = await self._names.now()
        with within(around):
            model = parsed.model if isinstance(parsed, ParsedInput) else None
            given = model if model is not None else self._inputs.instance(parsed)
            try:
                return as_graph(await self._called(given))
            except InvalidInput as error:
                raise not_generated(error.message) from error
            except Exception as error:  # an author's function may raise anything
                raise not_generated(reason_of(error)) from error

    async def _called(self, given: BaseModel) -> Any:
        if not inspect.iscoroutinefunction(self._function):
            return await self._threads.call(self._function, given, seconds=self._seconds)
        return await self._threads.call_async(self._function, given, seconds=self._seconds)

    async def close(self) -> None:
        """Forget the module."""
        forget_module(self._module)


async def load_python(
    path: str, file: Path, names: KnownNames, threads: Threads, limits: WorkflowLimits
) -> PythonWorkflow:
    """Load a Python file in a thread. Raises Unreadable with the reason and, where there is one, the line."""
    with within(await names.now()):
        try:
            module = await threads.call(load_module, file, seconds=limits.load_seconds)
        except TookTooLong as error:
            raise Unreadable(f"Loading it did not end: {error}.") from error
        except Exception as error:  # the file's own code may raise anything
            raise Unreadable(_why(error, file)) from error
    try:
        return PythonWorkflow(path, module, names, threads, limits.call_seconds)
    except Unreadable:
        forget_module(module)
        raise


def _model(module: ModuleType) -> type[BaseModel]:
    for name in MODEL_NAMES:
        found = getattr(module, name, None)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    raise Unreadable(f"It has no Pydantic model named {' or '.join(MODEL_NAMES)}. Define `class Input(BaseModel)`.")


def _function(module: ModuleType) -> Callable[[BaseModel], Any | Awaitable[Any]]:
    for name in FUNCTION_NAMES:
        found = getattr(module, name, None)
        if callable(found):
            return found  # type: ignore[no-any-return]  # what an author's function takes is checked when it is called
    raise Unreadable("It has no function named generate. Define `def generate(input: Input) -> dict`.")


def _why(error: Exception, file: Path) -> str:
    """The reason with the deepest line of the file that it comes from."""
    line = error.lineno if isinstance(error, SyntaxError) else _line(error, file)
    said = error.msg if isinstance(error, SyntaxError) else reason_of(error)
    kind = type(error).__name__
    return f"{kind}: {said.removeprefix(f'{kind}: ')}" + (f" (line {line})" if line else "")


def _line(error: BaseException, file: Path) -> int | None:
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _spec(name: str, file: Path) -> ModuleSpec:
    spec = importlib.util.spec_from_file_location(name, file, loader=_Source(name, str(file)))
    if spec is None:
        raise ImportError(f"{file.name} cannot be loaded")
    return spec


def _folder_spec(name: str, folder: Path) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return spec
