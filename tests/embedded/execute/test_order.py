"""Which node comes next (spec 9, scheduling)."""

from collections.abc import Iterable, Mapping

from comfyserve.embedded.execute.order import ReadyOrder


class Facts:
    def __init__(
        self, links: Mapping[str, Iterable[str]], outputs: Iterable[str] = (), urgent: Iterable[str] = ()
    ) -> None:
        self.links, self.outputs, self.urgent = links, set(outputs), set(urgent)

    def sources(self, node_id: str) -> Iterable[str]:
        return self.links.get(node_id, ())

    def is_output(self, node_id: str) -> bool:
        return node_id in self.outputs

    def is_urgent(self, node_id: str) -> bool:
        return node_id in self.outputs | self.urgent


def order_of(facts: Facts, *targets: str, done: Iterable[str] = ()) -> str:
    order = ReadyOrder(facts, set(done).__contains__)
    for target in targets:
        order.add(target)
    picked = []
    while (node_id := order.pick()) is not None:
        picked.append(node_id)
        order.complete(node_id)
    return "".join(picked)


def test_sources_come_first() -> None:
    assert order_of(Facts({"c": "ab", "b": "a"}, "c"), "c") == "abc"


def test_an_output_comes_before_all_else() -> None:
    assert order_of(Facts({"o": "ba"}, "op"), "o", "p").startswith("p")


def test_then_what_feeds_an_output_then_what_feeds_that() -> None:
    links = {"o": "f", "f": "xg", "g": "y", "p": "z"}
    assert order_of(Facts(links, "op"), "o", "p") == "zpxygfo"


def test_asynchronous_nodes_start_early() -> None:
    assert order_of(Facts({"o": "xyz"}, "o", urgent="z"), "o").startswith("z")


def test_finished_sources_are_not_added() -> None:
    assert order_of(Facts({"c": "b", "b": "a"}, "c"), "c", done="b") == "c"


def test_a_late_requirement_blocks_the_node_until_it_is_met() -> None:
    order = ReadyOrder(Facts({"o": ""}, "o"), lambda _: False)
    order.add("o")
    assert order.pick() == "o"
    order.require("o", "late")
    order.put_back("o")
    assert order.pick() == "late"
    assert order.pick() is None
    order.complete("late")
    assert order.pick() == "o"


def test_a_cycle_leaves_nothing_ready_and_is_named() -> None:
    order = ReadyOrder(Facts({"a": "b", "b": "a"}), lambda _: False)
    order.add("a")
    assert order.pick() is None
    assert list(order) == ["a", "b"]


def test_results_are_released_with_their_last_user() -> None:
    order = ReadyOrder(Facts({"c": "ab", "d": "a"}), lambda _: False)
    order.add("c")
    order.add("d")
    released = []
    while (node_id := order.pick()) is not None:
        released.append((node_id, sorted(order.complete(node_id))))
    assert dict(released)["a"] == []
    assert sorted(node_id for _, freed in released for node_id in freed) == ["a", "b", "c", "d"]
    assert "a" in released[-1][1]


def test_a_wide_graph_is_ordered_in_insertion_order() -> None:
    count = 5000
    links = {"o": [f"n{i}" for i in range(count)]}
    order = ReadyOrder(Facts(links, "o"), lambda _: False)
    order.add("o")
    picked = []
    while (node_id := order.pick()) is not None:
        picked.append(node_id)
        order.complete(node_id)
    assert picked == [*(f"n{i}" for i in reversed(range(count))), "o"]
