"""What authors of workflow files import: `from comfyserve.workflows import ctx, random_seed`."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from comfyserve.workflows.names import surroundings

MAX_SEED = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly; ComfyUI's samplers take it."""
SHOWN_NAMES = 100


def random_seed() -> int:
    """A seed for `Field(default_factory=random_seed)`."""
    return secrets.randbelow(MAX_SEED + 1)


def enum_message(names: tuple[str, ...], value: str) -> str:
    """The sentence about a value that is none of the names (the wording that callers of this API know)."""
    shown = " | ".join(f"'{name}'" for name in names[:SHOWN_NAMES])
    more = f" | ... ({len(names)} in all)" if len(names) > SHOWN_NAMES else ""
    return f"Invalid enum value. Expected {shown or 'nothing: there are none'}{more}, received '{value}'"


@dataclass(frozen=True)
class NameOf:
    """A string that must be a name the engine has at that moment, if the engine's names are known."""

    what: Literal["samplers", "schedulers", "models"]
    folder: str = ""

    def names(self) -> tuple[str, ...] | None:
        """The names, or None when they are not known."""
        around = surroundings()
        if self.what == "models":
            return around.model_names(self.folder)
        return around.samplers if self.what == "samplers" else around.schedulers

    def check(self, value: str | None) -> str | None:
        """The value; for None the model that is taken then."""
        if value is None:
            return surroundings().first_model(self.folder)
        names = self.names()
        if names is not None and value not in names:
            raise PydanticCustomError("unknown_name", "{sentence}", {"sentence": enum_message(names, value)})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names = self.names()
        return {"type": "string"} | ({"enum": list(names)} if names else {})


class AuthorContext:
    """`ctx`: types for fields that are checked against the engine at request time, and facts for functions."""

    Sampler = Annotated[str, NameOf("samplers")]
    Scheduler = Annotated[str, NameOf("schedulers")]

    def Model(self, folder: str) -> Any:  # noqa: N802 - it makes a type
        """A type for a model's name in a folder; None becomes the warm-up checkpoint, else the folder's first."""
        return Annotated[str | None, NameOf("models", folder), Field(validate_default=True)]

    @property
    def samplers(self) -> tuple[str, ...]:
        """The engine's samplers; empty while they are not known."""
        return surroundings().samplers or ()

    @property
    def schedulers(self) -> tuple[str, ...]:
        """The engine's schedulers; empty while they are not known."""
        return surroundings().schedulers or ()

    def models(self, folder: str) -> tuple[str, ...]:
        """The names of the models in a folder; empty while they are not known."""
        return surroundings().model_names(folder) or ()

    @property
    def warmup_ckpt(self) -> str | None:
        """The checkpoint of the warm-up graph, if there is one."""
        return surroundings().warmup_ckpt

    @property
    def settings(self) -> Mapping[str, Any]:
        """The program's settings, without secrets."""
        return surroundings().settings


ctx = AuthorContext()
