"""Which request an engine's prompt is for: what this process has claimed lately."""

from collections import OrderedDict

REMEMBERED = 10_000


class RequestIds:
    """Engine's prompt id -> request id. The longest unused ones are forgotten."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._known: OrderedDict[str, str] = OrderedDict()

    def note(self, prompt_id: str, request_id: str) -> None:
        """An engine will know this request by this id."""
        self._known[prompt_id] = request_id
        while len(self._known) > self._remembered:
            self._known.popitem(last=False)

    def shown(self, prompt_id: str) -> str:
        """The request's id, or the prompt's own when nobody knows better."""
        return self._known.get(prompt_id, prompt_id)
