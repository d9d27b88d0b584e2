"""Events on their way: order, back pressure, interruption, coming back."""

import asyncio
import json

from mingle.serving.realtime.outbox import Outbox


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 10))


class Client:
    """Takes letters; can be slow."""

    def __init__(self):
        self.got: list[dict] = []
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, text: str) -> None:
        await self.open.wait()
        self.got.append(json.loads(text))

    @property
    def numbers(self) -> list[int]:
        return [int(event["event_id"].removeprefix("event_")) for event in self.got]


async def delivered(box: Outbox, client: Client, after: int = 0) -> None:
    task = asyncio.create_task(box.deliver(client.send, after))
    await box.flushed()
    task.cancel()


def test_events_are_numbered_and_come_in_order():
    async def main():
        box, client = Outbox(10_000), Client()
        for i in range(5):
            await box.put("x", value=i)
        await delivered(box, client)
        assert client.numbers == [1, 2, 3, 4, 5]
        assert [event["value"] for event in client.got] == list(range(5))

    run(main())


def test_a_full_box_makes_the_writer_wait_and_nothing_is_lost():
    async def main():
        box, client = Outbox(200), Client()
        client.open.clear()

        async def write():
            for i in range(50):
                await box.put("x", value=i)

        writing = asyncio.create_task(write())
        delivering = asyncio.create_task(box.deliver(client.send, 0))
        await asyncio.sleep(0.02)
        assert not writing.done()
        client.open.set()
        await writing
        await box.flushed()
        delivering.cancel()
        assert client.numbers == list(range(1, 51))

    run(main())


def test_who_comes_back_gets_what_it_has_not_seen():
    async def main():
        box, first, second = Outbox(10_000), Client(), Client()
        for i in range(4):
            await box.put("x", value=i)
        await delivered(box, first)
        await box.put("x", value=4)
        await delivered(box, second, after=2)  # 3 and 4 were lost on their way
        assert second.numbers == [3, 4, 5]

    run(main())


def test_unsent_sound_of_an_interrupted_answer_is_dropped():
    async def main():
        box, client = Outbox(10_000), Client()
        await box.put("response.output_audio.delta", response_id="a", delta="AAAA")
        await box.put("response.output_audio.delta", response_id="b", delta="BBBB")
        await box.put("response.done", response_id="a")
        await box.drop_speech("a")
        await delivered(box, client)
        assert [event["response_id"] for event in client.got] == ["b", "a"]

    run(main())
