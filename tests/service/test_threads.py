import anyio
import pytest

from service.problems import Problem
from service.threads import Workroom


def test_so_many_work_so_many_wait_and_no_more() -> None:
    async def run() -> None:
        room, go = Workroom("films", places=1, waiting=1), anyio.Event()
        inside: list[int] = []

        async def work(number: int) -> None:
            async with room.place():
                inside.append(number)
                await go.wait()

        async with anyio.create_task_group() as group:
            for number in range(2):
                group.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
            assert inside == [0]
            with pytest.raises(Problem) as caught:
                await work(2)
            assert (caught.value.status, caught.value.kind) == (503, "too-many-films")
            assert caught.value.headers == {"Retry-After": "2"}
            go.set()
        assert inside == [0, 1]
        await work(3)

    anyio.run(run)
