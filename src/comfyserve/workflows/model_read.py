"""What workflows share whose input is a Pydantic model: its schema, its table and its reading."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from comfyserve.workflows.model import InputModel, ParsedInput
from comfyserve.workflows.names import KnownNames, Surroundings
from comfyserve.workflows.table import Row


class ModelRead:
    """A workflow whose input is read by a model, within the names that the engine has."""

    def __init__(self, model: type[BaseModel], names: KnownNames) -> None:
        self._inputs = InputModel(model)
        self._names = names

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of `input`, with the engine's names as far as they are known."""
        return self._inputs.schema(self._names.latest)

    def rows(self) -> list[Row]:
        """The rows of the table of inputs."""
        return self._inputs.rows(self._names.latest)

    async def read(self, given: Any) -> Mapping[str, Any]:
        """The parsed input. Raises InvalidInput."""

        async def use(around: Surroundings) -> ParsedInput:
            return self._inputs.read(given, around)

        return await self._names.tried(use)
