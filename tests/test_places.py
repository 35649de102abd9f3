"""A limited number of places, for tasks of any event loop and thread."""

import asyncio
import gc
import threading
from collections.abc import Iterator

import pytest

from pytest_asyncexec.base.places import Place, Places


class Thing:
    """What belongs to a place; counts how often it was put away, and in which event loop."""

    def __init__(self) -> None:
        self.put_away_in: list[asyncio.AbstractEventLoop | None] = []

    def put_away(self) -> None:
        self.put_away_in.append(asyncio._get_running_loop())


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def waiting_for(places: Places) -> asyncio.Task[Place]:
    return asyncio.create_task(places.take())


@pytest.fixture
def other_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


# -- order


async def test_as_many_are_let_in_as_there_are_places() -> None:
    places = Places(2)

    first, second = await places.take(), await places.take()
    third = waiting_for(places)
    await turns()

    assert not third.done()
    first.leave()
    (await third).leave()
    second.leave()
    assert places.are_free


async def test_places_are_given_out_in_the_order_in_which_they_were_asked_for() -> None:
    places, order = Places(1), []

    async def visit(number: int) -> None:
        place = await places.take()
        order.append(number)
        await asyncio.sleep(0)
        place.leave()

    await asyncio.gather(*(visit(number) for number in range(100)))

    assert order == list(range(100))
    assert places.are_free


async def test_nobody_overtakes_one_who_has_been_called_and_has_not_come_yet() -> None:
    places = Places(1)
    first = await places.take()
    second = waiting_for(places)
    await turns()

    first.leave()
    third = waiting_for(places)
    await turns()

    assert second.done()
    assert not third.done()
    second.result().leave()
    (await third).leave()
    assert places.are_free


async def test_a_place_that_is_left_twice_is_one_place() -> None:
    places = Places(1)
    place = await places.take()

    place.leave()
    place.leave()

    taken = await places.take()
    second = waiting_for(places)
    await turns()
    assert not second.done()
    taken.leave()
    (await second).leave()
    assert places.are_free


# -- cancellation


async def test_who_is_cancelled_while_waiting_is_passed_over() -> None:
    places = Places(1)
    first = await places.take()
    second, third = waiting_for(places), waiting_for(places)
    await turns()

    second.cancel()
    await turns()
    assert second.cancelled()
    first.leave()

    (await third).leave()
    assert places.are_free


async def test_who_is_cancelled_frees_nothing_it_did_not_have() -> None:
    places = Places(1)
    first = await places.take()
    second, third = waiting_for(places), waiting_for(places)
    await turns()

    second.cancel()
    await turns()

    assert not third.done()
    assert not places.are_free
    first.leave()
    (await third).leave()
    assert places.are_free


async def test_who_is_cancelled_before_having_begun_takes_nothing() -> None:
    places = Places(1)

    first = waiting_for(places)
    first.cancel()
    await turns()

    assert first.cancelled()
    assert places.are_free


@pytest.mark.parametrize("leaves_first", [True, False])
async def test_who_is_cancelled_in_the_moment_it_is_called_passes_the_place_on(
    leaves_first,
) -> None:
    # Between the call and the coming there is one turn of the loop.
    places = Places(1)
    first = await places.take()
    second, third = waiting_for(places), waiting_for(places)
    await turns()

    if leaves_first:
        first.leave()
        second.cancel()
    else:
        second.cancel()
        first.leave()

    (await third).leave()
    assert second.cancelled()
    assert places.are_free


async def test_what_belongs_to_the_place_survives_the_cancellation() -> None:
    places, thing = Places(1), Thing()
    first = await places.take()
    first.kept = thing
    second, third = waiting_for(places), waiting_for(places)
    await turns()

    first.leave()
    second.cancel()

    place = await third
    assert place.kept is thing
    assert thing.put_away_in == []
    place.kept = None
    place.leave()


async def test_cancelled_at_any_turn_no_place_is_lost_and_none_is_won() -> None:
    async def visit(number: int) -> None:
        place = await places.take()
        order.append(number)
        try:
            await asyncio.sleep(0)
        finally:
            place.leave()

    for number in range(12):
        places, order = Places(1), []
        tasks = [asyncio.create_task(visit(visitor)) for visitor in range(4)]
        for _ in range(number):
            await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[2].cancel()
        await asyncio.wait(tasks)

        assert order == sorted(order)
        assert {1, 3} <= set(order)
        assert places.are_free


# -- what belongs to a place


async def test_what_is_kept_goes_to_the_next_one_of_the_loop() -> None:
    places, thing = Places(1), Thing()
    first = await places.take()
    first.kept = thing
    second = waiting_for(places)
    await turns()

    first.leave()

    place = await second
    assert place.kept is thing
    assert thing.put_away_in == []
    place.leave()
    assert thing.put_away_in == [asyncio.get_running_loop()]


async def test_what_is_kept_is_put_away_before_the_place_is_free() -> None:
    """Or who takes the place meanwhile finds nothing that was put away, and makes another one."""
    places, were_taken = Places(1), []

    class Looking(Thing):
        def put_away(self) -> None:
            were_taken.append(places.are_taken)

    place = await places.take()
    place.kept = Looking()

    place.leave()

    assert were_taken == [True]
    assert places.are_free


async def test_what_is_kept_is_put_away_where_nobody_waits() -> None:
    places, thing = Places(1), Thing()
    place = await places.take()
    place.kept = thing

    place.leave()

    assert thing.put_away_in == [asyncio.get_running_loop()]
    assert (await places.take()).kept is None


async def test_what_is_kept_is_put_away_where_only_another_loop_waits(other_loop) -> None:
    places, thing = Places(1), Thing()
    first = await places.take()
    first.kept = thing
    elsewhere = asyncio.run_coroutine_threadsafe(places.take(), other_loop)
    while not places._waiting:  # noqa: ASYNC110
        await asyncio.sleep(0.01)

    first.leave()

    assert thing.put_away_in == [asyncio.get_running_loop()]
    second = await asyncio.wrap_future(elsewhere)
    assert second.kept is None
    second.leave()
    assert places.are_free


# -- event loops and threads


async def test_a_place_can_be_left_in_a_thread_without_a_loop() -> None:
    places, thing = Places(1), Thing()
    first = await places.take()
    first.kept = thing
    second = waiting_for(places)
    await turns()

    await asyncio.to_thread(first.leave)

    place = await second
    assert place.kept is None
    assert thing.put_away_in == [None]
    place.leave()


def test_many_loops_in_threads_never_have_more_than_there_are() -> None:
    places, guard = Places(3), threading.Lock()
    inside, most, visits = 0, 0, 0

    async def visit() -> None:
        nonlocal inside, most, visits
        place = await places.take()
        with guard:
            inside += 1
            visits += 1
            most = max(most, inside)
        await asyncio.sleep(0)
        with guard:
            inside -= 1
        place.leave()

    async def visits_of_a_loop() -> None:
        await asyncio.gather(*(visit() for _ in range(200)))

    threads = [threading.Thread(target=lambda: asyncio.run(visits_of_a_loop())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert visits == 800
    assert 1 <= most <= 3
    assert places.are_free


async def test_cancelled_in_another_loop_in_the_moment_it_is_called_it_passes_the_place_on(
    other_loop,
) -> None:
    places = Places(1)

    async def visit() -> None:
        (await places.take()).leave()

    for _ in range(100):
        first = await places.take()
        elsewhere = asyncio.run_coroutine_threadsafe(visit(), other_loop)
        here = waiting_for(places)
        await turns()

        first.leave()
        elsewhere.cancel()

        (await here).leave()
        # What the other loop has still to do.
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(turns(), other_loop))
        assert places.are_free


# -- the lost


async def test_a_place_that_is_forgotten_while_the_loop_falls_asleep_wakes_it(monkeypatch) -> None:
    places, wakes = Places(1), []
    held = [await places.take()]
    second = waiting_for(places)
    await turns()
    selector = asyncio.get_running_loop()._selector
    select = selector.select

    def collected_before(timeout):
        if not held or timeout == 0:
            return select(timeout)
        held.clear()
        gc.collect()
        events = select(0)
        wakes.append(bool(events))
        return events

    with monkeypatch.context() as patch:
        patch.setattr(selector, "select", collected_before)
        (await second).leave()

    assert wakes == [True]


async def test_a_place_held_by_an_event_loop_that_was_closed_is_there_for_the_next() -> None:
    places = Places(1)

    async def host() -> None:
        tasks = [asyncio.ensure_future(hold()) for _ in range(3)]
        await turns()
        tasks[0].others = tasks  # as a gather does, for one

    async def hold() -> None:
        place = await places.take()
        await asyncio.get_running_loop().create_future()
        place.leave()

    def brutal_host() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(host())
        loop.set_exception_handler(lambda *_: None)
        loop.close()

    gc.disable()
    try:
        await asyncio.to_thread(brutal_host)
        (await places.take()).leave()
    finally:
        gc.enable()
    assert places.are_free


async def test_a_forgotten_place_comes_back() -> None:
    places, thing = Places(1), Thing()
    first = await places.take()
    first.kept = thing
    second = waiting_for(places)
    await turns()

    del first
    gc.collect()

    place = await second
    assert place.kept is thing
    place.kept = None
    del place, second
    await turns()  # the loop itself knows for one turn what it has woken this task with
    gc.collect()
    assert places.are_free


async def test_one_who_waited_in_a_loop_that_is_closed_is_passed_over() -> None:
    places = Places(1)
    first = await places.take()

    def host() -> None:
        loop = asyncio.new_event_loop()
        tasks.append(loop.create_task(places.take()))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    tasks: list[asyncio.Task[Place]] = []
    await asyncio.to_thread(host)
    second = waiting_for(places)
    await turns()

    first.leave()

    (await second).leave()
    assert places.are_free
    _throw_away(tasks)


async def test_one_who_was_called_in_a_loop_that_is_dropped_gives_the_place_back() -> None:
    places = Places(1)
    first = await places.take()

    def host() -> None:
        loop = asyncio.new_event_loop()
        tasks.append(loop.create_task(places.take()))
        loop.run_until_complete(asyncio.sleep(0))
        first.leave()  # from outside of it: called, and never to run again
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    tasks: list[asyncio.Task[Place]] = []
    await asyncio.to_thread(host)

    _throw_away(tasks)
    gc.collect()

    assert places.are_free


def _throw_away(tasks: list[asyncio.Task[Place]]) -> None:
    """Forget tasks of closed loops, without what asyncio has to say about that."""
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    tasks.clear()


async def test_who_waits_in_a_loop_that_rests_keeps_nobody_else_waiting() -> None:
    # As in a notebook, whose loop runs while a cell does.
    places = Places(1)
    first = await places.take()
    resting = asyncio.new_event_loop()

    async def begin() -> None:
        waiting.append(asyncio.ensure_future(places.take()))
        await asyncio.sleep(0)

    waiting: list[asyncio.Future] = []
    await asyncio.to_thread(resting.run_until_complete, begin())
    first.leave()

    second = await places.take()
    second.leave()
    third = await asyncio.to_thread(resting.run_until_complete, waiting[0])
    third.leave()
    resting.close()
    assert places.are_free


async def test_who_waited_in_a_loop_that_is_closed_is_forgotten() -> None:
    places = Places(1)
    first = await places.take()
    closed = asyncio.new_event_loop()
    waiting = closed.create_task(places.take())
    await asyncio.to_thread(closed.run_until_complete, asyncio.sleep(0))
    waiting._log_destroy_pending = False
    closed.close()
    first.leave()

    assert places.are_free
    (await places.take()).leave()


# -- asking without waiting


async def test_asking_returns_a_place_or_what_will_be_one() -> None:
    places = Places(1)
    first = places.ask()
    second = places.ask()

    assert isinstance(first, Place)
    assert not isinstance(second, Place)
    assert places.are_taken
    first.leave()
    assert (await second).is_taken
    places.withdraw(second)
    assert places.are_free


async def test_what_was_asked_for_can_be_withdrawn_before_it_comes() -> None:
    places = Places(1)
    first, second = await places.take(), places.ask()
    assert not isinstance(second, Place)
    places.withdraw(second)

    first.leave()
    await turns()

    assert not second.done()
    assert places.are_free


async def test_a_place_that_comes_back_while_one_is_asked_for_is_given_out(monkeypatch) -> None:
    places, loop = Places(1), asyncio.get_running_loop()
    held = [await places.take()]
    make = loop.create_future

    def create_future() -> asyncio.Future[Place]:
        # An allocation can start the garbage collector, and that can free a place.
        held.clear()
        gc.collect()
        return make()

    monkeypatch.setattr(loop, "create_future", create_future)
    asked = places.ask()
    monkeypatch.undo()

    assert not isinstance(asked, Place)
    assert (await asked).is_taken


async def test_those_are_counted_that_wait_in_loops_that_run(other_loop) -> None:
    places, resting = Places(1), asyncio.new_event_loop()
    place = await places.take()
    mine = places.ask()
    assert not isinstance(mine, Place)
    assert places.count_waiting(None) == 1
    assert places.count_waiting(mine) == 0

    async def wait() -> None:
        await places.take()

    def begin_there() -> None:
        resting.run_until_complete(asyncio.sleep(0))

    task = resting.create_task(wait())
    await asyncio.to_thread(begin_there)
    assert places.count_waiting(mine) == 0  # nobody is there to come for it
    elsewhere = asyncio.run_coroutine_threadsafe(wait(), other_loop)
    while places.count_waiting(mine) != 2:  # noqa: ASYNC110
        await asyncio.sleep(0.001)

    elsewhere.cancel()
    task.cancel()
    await asyncio.to_thread(lambda: resting.run_until_complete(asyncio.wait([task])))
    resting.close()
    place.leave()
    (await mine).leave()
    await turns()


async def test_a_loop_that_does_not_come_for_its_place_keeps_nobody_waiting(other_loop) -> None:
    places, is_busy, go_on = Places(1), threading.Event(), threading.Event()
    place = await places.take()
    theirs = asyncio.run_coroutine_threadsafe(places.take(), other_loop)
    while not places.count_waiting(None):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    other_loop.call_soon_threadsafe(lambda: (is_busy.set(), go_on.wait()))
    await asyncio.to_thread(is_busy.wait)
    mine = waiting_for(places)
    await turns()

    await asyncio.to_thread(place.leave)

    (await mine).leave()
    go_on.set()
    (await asyncio.wrap_future(theirs)).leave()
    assert places.are_free
