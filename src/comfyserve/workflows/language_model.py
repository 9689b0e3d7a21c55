"""A language model that writes a workflow file: asked over HTTP, its answer bounded, without its fences."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2

from comfyserve.core.errors import DomainError, InvalidInput, Place
from comfyserve.core.graph import Graph

Provider = Literal["anthropic", "minimax"]
Choice = Literal["auto", "anthropic", "minimax", "none"]

PROMPT = Path(__file__).with_name("language_model.md")
FENCED = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
MAX_TOKENS = 16_000
MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_CLASSES_CHARACTERS = 200_000
SECONDS = 300.0
SHOWN = 300

URLS: Mapping[Provider, tuple[str, str, str]] = {
    "anthropic": ("ANTHROPIC_BASE_URL", "https://api.anthropic.com", "/v1/messages"),
    "minimax": ("MINIMAX_BASE_URL", "https://api.minimax.io", "/v1/chat/completions"),
}
"""Provider -> the variable with its base address, that address, and the path of its route."""
KEYS: Mapping[Provider, str] = {"anthropic": "ANTHROPIC_API_KEY", "minimax": "MINIMAX_API_KEY"}
"""Provider -> the variable with its key; the first that is set is preferred."""
MODELS: Mapping[Provider, tuple[str, str]] = {
    "anthropic": ("ANTHROPIC_MODEL", "claude-sonnet-4-20250514"),
    "minimax": ("MINIMAX_MODEL", "MiniMax-M2.7"),
}
"""Provider -> the variable with the name of the model, and the model without it."""


class LanguageModelFailed(DomainError):
    """The language model did not answer, or not with a file that makes the graph."""

    code = "language_model_failed"


@dataclass(frozen=True)
class LanguageModel:
    """One to ask. The key is never shown."""

    provider: Provider
    url: str
    model: str
    key: str = field(repr=False)
    seconds: float = SECONDS

    async def ask(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Its answer, as it is. Raises LanguageModelFailed."""
        body = {"model": self.model, "max_tokens": MAX_TOKENS, "messages": list(messages)}
        try:
            async with asyncio.timeout(self.seconds):
                status, text = await self._answer(body)
        except TimeoutError as error:
            raise LanguageModelFailed(f"{self.provider} took longer than {self.seconds:g} s.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise LanguageModelFailed(f"{self.provider} does not answer: {type(error).__name__}.") from error
        if status != 200:
            said = " ".join(text.split())[:SHOWN].replace(self.key, "***")
            raise LanguageModelFailed(f"{self.provider} answers {status}: {said}")
        return self._text(text)

    async def _answer(self, body: Mapping[str, Any]) -> tuple[int, str]:
        client = httpx2.AsyncClient(timeout=httpx2.Timeout(self.seconds))
        async with client, client.stream("POST", self.url, json=body, headers=self._headers()) as answer:
            return answer.status_code, await _bounded(answer)

    def _headers(self) -> dict[str, str]:
        if self.provider == "anthropic":
            return {"x-api-key": self.key, "anthropic-version": "2023-06-01"}
        return {"Authorization": f"Bearer {self.key}"}

    def _text(self, body: str) -> str:
        try:
            answer = json.loads(body)
            if self.provider == "anthropic":
                return "".join(part["text"] for part in answer["content"] if part.get("type") == "text")
            return str(answer["choices"][0]["message"]["content"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise LanguageModelFailed(f"{self.provider} answers in a form that is not known.") from error


def choose_model(choice: Choice, environment: Mapping[str, str], seconds: float = SECONDS) -> LanguageModel | None:
    """The model to ask: `auto` takes the one whose key is set, Anthropic's first, or none. Raises InvalidInput when the
    chosen one has no key."""
    if choice == "none":
        return None
    wanted: Sequence[Provider] = tuple(KEYS) if choice == "auto" else (choice,)
    found = next((provider for provider in wanted if environment.get(KEYS[provider])), None)
    if found is None and choice != "auto":
        raise InvalidInput(f"--model {choice} needs {KEYS[wanted[0]]}.", place=Place(field="model"))
    if found is None:
        return None
    variable, base, path = URLS[found]
    url = (environment.get(variable) or base).rstrip("/") + path
    name, model = MODELS[found]
    return LanguageModel(found, url, environment.get(name) or model, environment[KEYS[found]], seconds)


def first_message(graph: Graph, catalogue: Mapping[str, Any] | None, draft: str) -> str:
    """What the model is asked."""
    used = {node.class_type for node in graph.nodes.values()}
    classes = {name: (catalogue or {}).get(name, {}).get("input", {}) for name in sorted(used)}
    parts = {
        "graph": json.dumps(graph.as_json(), ensure_ascii=False, indent=1),
        "classes": json.dumps(classes, ensure_ascii=False)[:MAX_CLASSES_CHARACTERS],
        "draft": draft,
    }
    prompt = PROMPT.read_text(encoding="utf-8")
    return re.sub(r"\{(graph|classes|draft)\}", lambda found: parts[found[1]], prompt)


def without_fences(answer: str) -> str:
    """The file in an answer: the longest fenced part, or all of it."""
    parts = FENCED.findall(answer)
    return str(max(parts, key=len) if parts else answer).strip() + "\n"


async def _bounded(answer: httpx2.Response) -> str:
    content = bytearray()
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise LanguageModelFailed(f"The answer is longer than {MAX_ANSWER_BYTES} bytes.")
    return content.decode(errors="replace")
