"""The worker: takes what the inbox has, and brings it from Eventbrite to the destinations.

A process of its own, `python -m webhooks.worker`, started and watched by `listen`: builds never keep a notice
from being stored. Notices are settled under the lock and last, so a killed worker's are taken up by the next.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from boxoffice import lock, log, ops
from boxoffice import settings as settings_module
from boxoffice.__main__ import Hot, Refreshed
from boxoffice.errors import BoxofficeError, CallError, LeftOff, LockedError, explained
from boxoffice.session import Session, check_warehouse, recorded
from boxoffice.settings import Settings
from webhooks import inbox
from webhooks.inbox import Inbox, Pointer

logger = logging.getLogger("webhooks.worker")

COMMAND = "listen"
AWAY = "away"
BUILD = "build"  # of all models
LOCK_WAIT = 1.0  # seconds; the wish to end is looked at in between
BREATH = (
    0.3  # seconds that the lock is free after each piece of work: a waiting `run` asks ten times a second
)
MISSING_FOR = 300.0  # seconds for which Eventbrite may not show yet what it told of
MISSING_AGAIN = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)  # seconds between two looks, by attempts
# Eventbrite may show for a while what was before the change it told of. Clocks may differ by less.
STALE_BY = 60.0  # seconds that the version which came is older than its notice
STALE_AGAIN = (15.0, 60.0)  # seconds until it is looked at again, by attempts
ATTEMPTS = 5
AGAIN = 10.0  # seconds until the second attempt, doubled for each further one
TROUBLE = 30.0  # seconds to wait after trouble that is no object's; doubled each time that it cost calls
LONGEST_TROUBLE = 240.0
HURRY_WITHIN = 1.0  # seconds until which a notice must be due for Airtable to be left for it,
HURRY_FOR = 10.0  # and for how long
CATCH_UP_EVERY = 60.0
CATCH_UP_SHARE = 0.1  # of the time at most: on large warehouses it takes longer, and notices wait meanwhile
CATCH_UP_AT_MOST = 3600.0
PUT_OFF_FOR = 300.0  # seconds for which catching up makes way for notices; then it is brought to its end


class Worker:
    """One worker. Nothing of it has to outlive it.

    Args:
        settings: gives those in force, with the time of asking. clock: seconds since the epoch.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        box: Inbox,
        hot: Hot,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._box, self._hot, self._clock = settings, box, hot, clock
        self._closed_until = 0.0
        self._closed_by = ""
        self._free_until = 0.0
        self._minded: int | None = None  # the ops file that was looked at
        # What was under way when the worker before ended, nobody knows.
        self._is_owed = True
        self._left_since: float | None = None
        self._catch_up_at: float | None = None
        self._catch_up_every = CATCH_UP_EVERY
        self._put_off_since: float | None = None
        self._vain_since: float | None = None  # when catching up first came to nothing
        self._one_by_one = False
        self._told = ""
        self._costly = 0
        # By step of the work: what was told of it lastly, and is so still.
        self._problems: dict[str, set[str]] = {}

    def warm_up(self) -> None:
        """Make ready while nothing is due; what goes wrong is met, and told, at work."""
        settings = self._settings()
        with (
            suppress(Exception),
            lock.held(settings.lock_path, COMMAND, wait_seconds=LOCK_WAIT),
        ):
            self._hot.warm_up(settings)

    def look(self) -> float | None:
        """Do what there is to do now. Returns the seconds until there may be more; None: a notice tells."""
        now = self._clock()
        wait = self._wait(now)
        if wait is None or wait > 0:
            return wait
        # Whatever woke the worker: under a steady stream of notices a `run` would never get the lock.
        if 0 < self._free_until - now <= BREATH:
            return self._free_until - now
        try:
            settings = self._settings()
            with (
                lock.held(settings.lock_path, COMMAND, wait_seconds=LOCK_WAIT),
                ops.opened(settings.ops_path) as store,
            ):
                if self._told:
                    # Before Eventbrite is asked once more for what then has nowhere to go.
                    check_warehouse(settings)
                self._mind_older_file(settings, store)
                self._work(settings, store)
            if self._told:
                logger.info("Notices are worked on again.")
            self._told, self._costly = "", 0
        except LockedError:
            return BREATH
        except Exception as error:
            known = explained(error)
            if known is None:
                logger.exception("Work on notices failed unexpectedly; they stay, and are tried again.")
            elif str(known) != self._told:
                logger.error("Notices wait: %s", known)
            self._told = str(known)
            self._closed_until = self._clock() + min(TROUBLE * 2.0**self._costly, LONGEST_TROUBLE)
            if self._catch_up_at is not None:
                self._catch_up_at = max(self._catch_up_at, self._closed_until)
        self._free_until = self._clock() + BREATH
        return BREATH

    def _mind_older_file(self, settings: Settings, store: ops.Ops) -> None:
        found = settings.ops_path.stat().st_ino
        if found != self._minded and settings.warehouse_path.exists():
            if ops.notice_older_file(store, settings.warehouse_path):
                # Once is enough; and the next `run` is not to take this file for the one that it knew.
                ops.copy_to_warehouse(store, settings.warehouse_path)
            self._minded = found

    def _wait(self, now: float) -> float | None:
        due = self._box.next_due(now)
        waits = [] if due is None else [max(due, self._closed_until - now)]
        if self._left_since is not None and not self._is_hurried():
            waits.append(0.0)
        if self._catch_up_at is not None:
            waits.append(self._catch_up_at - now)
        return max(min(waits), 0.0) if waits else None

    def _work(self, settings: Settings, store: ops.Ops) -> None:
        # Asked under the lock: a worker that was left behind may have settled them meanwhile.
        now = self._clock()
        pointers = self._box.due(now)[: 1 if self._one_by_one else None] if now >= self._closed_until else []
        if pointers or self._left_since is not None:
            self._refresh(settings, store, pointers)
        if self._catch_up_at is not None and self._clock() >= self._catch_up_at:
            self._catch_up(settings, store)

    def _refresh(self, settings: Settings, store: ops.Ops, pointers: Sequence[Pointer]) -> None:
        with recorded(COMMAND, settings, store, self._tell) as session:
            was_owed, self._is_owed = self._is_owed, True
            try:
                came = self._hot.refresh(
                    session, pointers, is_owed=was_owed, is_hurried=partial(self._is_hurried, pointers)
                )
            except Exception as error:
                self._costly += 1
                if explained(error) is None:
                    self._suspect(pointers, session.run_id)
                raise
            self._is_owed = not came.is_through
            self._left_since = (self._left_since or self._clock()) if self._hot.is_left else None
            self._one_by_one = False
            self._settle(pointers, came, session.run_id)
        landed = sum(step.changed or 0 for step in session.steps if step.name == "eventbrite")
        if landed or was_owed or not came.is_through:
            self._plan_catch_up(came)
        if came.closed_for is not None and not landed:
            return  # that it is closed was told
        logger.info(
            "Looked at %d objects of %d notices, %d rows changed, in %.1f s.",
            *(len(pointers), sum(len(each.notices) for each in pointers), landed),
            sum(step.seconds for step in session.steps),
        )

    def _tell(self, session: Session) -> None:
        """Say of each step what is new, and when it is well again: that a batch failed again is no news."""
        names = {step.name for step in session.steps}
        found: dict[str, list[BoxofficeError]] = {
            step.name: [] for step in session.steps if step.status == "ok"
        }
        for name, problem in session.problems:
            # A model's or a test's is that of all models: no other build looks at it again.
            found.setdefault(name if name in names else BUILD, []).append(problem)
        for name, problems in found.items():
            before = self._problems.pop(name, set())
            # Of who is away each call fails in words of its own.
            is_away = any(isinstance(each, CallError) for each in problems)
            for each in problems if not (is_away and AWAY in before) else ():
                if each.problem not in before:
                    logger.warning("%s: %s", name, each)
            if problems:
                self._problems[name] = {each.problem for each in problems} | ({AWAY} if is_away else set())
            if (AWAY in before and not is_away) or (before and not problems):
                logger.info("%s: %s", name, "it answers again." if AWAY in before else "all is well again.")

    def _leaves_off(self) -> bool:
        """Whether to leave catching up off, for a notice that somebody may be waiting for."""
        is_late = self._put_off_since is not None and self._clock() - self._put_off_since >= PUT_OFF_FOR
        return not is_late and self._is_hurried()

    def _is_hurried(self, at_work: Sequence[Pointer] = ()) -> bool:
        """Whether there is more to fetch, beyond what is being worked on, which is settled last."""
        now = self._clock()
        if now < self._closed_until or (self._left_since and now - self._left_since >= HURRY_FOR):
            return False
        known = {notice for pointer in at_work for notice in pointer.notices}
        return any(not known.issuperset(each.notices) for each in self._box.due(now + HURRY_WITHIN))

    def _settle(self, pointers: Sequence[Pointer], came: Refreshed, run_id: int) -> None:
        now = self._clock()
        by_key = {(each.type, each.id): each for each in pointers}
        read = [each for key, each in by_key.items() if key in came.read]
        stale = [each for each in read if self._is_stale(each, came)]
        for old in stale:
            self._box.retry([old], now + STALE_AGAIN[old.attempts], "Eventbrite shows what was before")
        self._box.done([each for each in read if each not in stale], run_id)
        for key in came.missing:
            if (pointer := by_key.get(key)) is None:
                continue
            if now - pointer.first_received_at >= MISSING_FOR:
                self._box.done([pointer], run_id, "Eventbrite did not show it for five minutes")
            else:
                again = MISSING_AGAIN[min(pointer.attempts, len(MISSING_AGAIN) - 1)]
                self._box.retry([pointer], now + again, "Eventbrite does not show it yet")
        for key, (problem, number) in came.failed.items():
            if (pointer := by_key.get(key)) is not None:
                self._failed(pointer, problem, number, run_id)
        if came.closed_for is not None:
            self._closed_until = now + came.closed_for
            why = str(came.problem or "The hourly budget of Eventbrite calls is spent.")
            if why != self._closed_by:
                logger.warning("%s Notices wait until it answers again.", why)
            self._closed_by = why
        elif self._closed_by and pointers:
            logger.info("Eventbrite answers again.")
            self._closed_by = ""

    def _is_stale(self, pointer: Pointer, came: Refreshed) -> bool:
        changed_at = came.changed_at.get((pointer.type, pointer.id))
        is_old = changed_at is not None and changed_at < pointer.first_received_at - STALE_BY
        return is_old and pointer.attempts < len(STALE_AGAIN)

    def _failed(self, pointer: Pointer, problem: str, number: int | None, run_id: int) -> None:
        if pointer.attempts + 1 >= ATTEMPTS:
            logger.error(
                "Given up: %s %s, after %d attempts. %s", pointer.type, pointer.id, ATTEMPTS, problem
            )
            self._box.park([pointer], problem, number, run_id)
        else:
            self._box.retry([pointer], self._clock() + AGAIN * 2.0**pointer.attempts, problem, number)

    def _suspect(self, pointers: Sequence[Pointer], run_id: int) -> None:
        """Something nobody foresaw: of several objects the one that does it is found by taking each alone."""
        if len(pointers) > 1:
            self._one_by_one = True
        elif pointers:
            self._failed(pointers[0], "It failed unexpectedly; the log says where.", None, run_id)

    def _plan_catch_up(self, came: Refreshed) -> None:
        """A minute after the first of several; now if something could not be brought on, unless it just was
        in vain."""
        is_soon = not came.is_through and self._vain_since is None
        at = self._clock() + (0.0 if is_soon else self._catch_up_every)
        self._catch_up_at = at if self._catch_up_at is None else min(at, self._catch_up_at)

    def _catch_up(self, settings: Settings, store: ops.Ops) -> None:
        began = self._clock()
        was_vain_since, self._vain_since = self._vain_since, self._vain_since or began
        # However often notices hasten it: who was away for ten minutes is asked again within ten more.
        wait = max(began - self._vain_since, self._catch_up_every)
        self._catch_up_at = began + min(wait, CATCH_UP_AT_MOST)
        with recorded(COMMAND, settings, store, self._tell) as session:
            try:
                is_through = self._hot.catch_up(session, leaves_off=self._leaves_off)
            except LeftOff:
                self._vain_since = was_vain_since
                self._put_off_since = self._put_off_since or began
                self._catch_up_at = self._clock() + self._catch_up_every
                return
            store.drop_old(settings.retention_days)
            ops.copy_to_warehouse(store, settings.warehouse_path)
        for action in session.at_end:
            action()
        self._put_off_since = None
        self._catch_up_every = max(CATCH_UP_EVERY, (self._clock() - began) / CATCH_UP_SHARE)
        if is_through:
            self._vain_since, self._catch_up_at, self._is_owed = None, None, False


def main() -> None:
    """The first line of stdin says what of the settings differs here, each further one that notices came, its
    end that the receiver has ended."""
    given: dict[str, Any] = json.loads(sys.stdin.readline() or "{}")
    first = replace(settings_module.load(), **given)
    log.set_up(first)
    woken, ended = threading.Event(), threading.Event()

    def listen() -> None:
        for _ in sys.stdin:
            woken.set()
        ended.set()
        woken.set()

    threading.Thread(target=listen, name="stdin", daemon=True).start()
    hot = Hot()
    try:
        with inbox.opened(first.ops_path, first.eventbrite_api_url, first.webhook_secret) as box:
            worker = Worker(lambda: replace(first, as_of=settings_module.load().as_of), box, hot)
            worker.warm_up()
            while not ended.is_set():
                woken.wait(worker.look())
                woken.clear()
    except KeyboardInterrupt:
        pass
    finally:
        hot.close()


if __name__ == "__main__":
    main()
