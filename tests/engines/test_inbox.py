"""The mailbox of a prompt stays small, whatever the engine sends and however slow the reader is."""

from comfyserve.engines.inbox import MAX_WAITING, MAX_WAITING_BYTES, Inbox
from comfyserve.ports import NodeStarted, Preview, Progress, Started


def test_the_newest_progress_and_preview_replace_those_that_wait() -> None:
    inbox = Inbox("p")
    for step in range(50):
        inbox.add(Progress("1", step, 50))
        inbox.add(Preview(b"%d" % step, "image/png"))
    assert inbox.take() == [Progress("1", 49, 50), Preview(b"49", "image/png")]
    assert inbox.take() == []


def test_node_events_keep_their_order_and_the_oldest_go_first() -> None:
    inbox = Inbox("p")
    for number in range(MAX_WAITING + 5):
        inbox.add(NodeStarted(str(number)))
    kept = inbox.take()
    assert len(kept) == MAX_WAITING
    assert kept[0] == NodeStarted("5") and kept[-1] == NodeStarted(str(MAX_WAITING + 4))


def test_the_oldest_go_when_they_weigh_too_much() -> None:
    inbox = Inbox("p")
    for number in range(10):
        inbox.add(NodeStarted(str(number)), MAX_WAITING_BYTES // 4)
        inbox.add(Progress("1", number, 10), MAX_WAITING_BYTES)
    assert inbox.take() == [NodeStarted(str(number)) for number in range(6, 10)] + [Progress("1", 9, 10)]
    inbox.add(NodeStarted("large"), MAX_WAITING_BYTES + 1)
    assert inbox.take() == []


def test_the_start_is_told_once() -> None:
    inbox = Inbox("p")
    inbox.start()
    inbox.start()
    assert inbox.take() == [Started()]


async def test_waiting_ends_with_a_hint_and_after_the_time_that_fits_the_doubt() -> None:
    inbox = Inbox("p")
    inbox.add(NodeStarted("1"))
    assert not await inbox.wait(quiet=10, poll=10)
    inbox.hint()
    assert await inbox.wait(quiet=10, poll=10)
    assert await inbox.wait(quiet=10, poll=0.01)
