"""Scenarios of a wire API as a table: what is sent, what must come back."""

from dataclasses import dataclass, field
from typing import Any

from tests.apis.world import World


@dataclass(frozen=True)
class Scenario:
    """One call. Things of the world stand in `<>`; `holds` must all be found in the body's text."""

    name: str
    method: str
    path: str
    status: int
    holds: tuple[str, ...] = ()
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def play(self, world: World, names: dict[str, str]) -> None:
        """Make the call and check the answer."""
        request: dict[str, Any] = {"headers": {name: filled(value, names) for name, value in self.headers.items()}}
        if self.json is not None:
            request["json"] = filled(self.json, names)
        if self.content is not None:
            request["content"] = self.content
            request["headers"].setdefault("content-type", "application/json")
        answer = await world.client.request(self.method, filled(self.path, names), **request)
        assert answer.status_code == self.status, answer.text[:1000]
        for part in self.holds:
            assert filled(part, names) in answer.text, f"{part} is not in {answer.text[:1000]}"


def filled(value: Any, names: dict[str, str]) -> Any:
    """`<name>` replaced by the world's value, at any depth."""
    if isinstance(value, str):
        for name, known in names.items():
            value = value.replace(f"<{name}>", known)
        return value
    if isinstance(value, dict):
        return {key: filled(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, names) for one in value]
    return value
