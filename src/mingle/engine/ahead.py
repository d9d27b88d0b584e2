"""Working ahead: the next chunks are made while the earlier ones are played or sent."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")

END: Any = object()


def work_ahead(items: Iterable[Item], most: int = 64) -> Generator[Item, None, None]:
    """The same items, made by a thread that is at most `most` of them ahead.

    What the maker raises is raised here. Closing the generator ends the thread within one item.
    """
    maker = iter(items)
    with ThreadPoolExecutor(1, "mingle-ahead") as worker:
        waiting: deque[Future[Item]] = deque()
        try:
            waiting.extend(worker.submit(next, maker, END) for _ in range(most))
            while (item := waiting.popleft().result()) is not END:
                waiting.append(worker.submit(next, maker, END))
                yield item
        finally:
            for later in waiting:
                later.cancel()
            worker.submit(getattr(maker, "close", lambda: None)).result()
