"""How long the suite waits for what a right executor does at once. No rule is decided by it.

Each of these is a guard far away: who does not come within it would never have come. The suite's
own tests, whose executors are known to be wrong, lower them.
"""

from __future__ import annotations

#: Seconds after which a check counts as hung.
WATCHDOG = 120.0

#: The same for one that has hung once: the rest of the suite is still to come.
AFTER_A_HANG = 20.0

#: Seconds past its limit for which a task is held, before it is taken that nothing stops it.
PAST_LIMIT = 30.0

#: The same for others, where one that merely waits was not stopped in all that time.
SHORTLY = 5.0

#: Seconds that a blocked event loop keeps everybody waiting, before a watchdog thread does in its
#: place what the loop needs no time for.
RESCUE = 10.0

#: Seconds for a few writers of one file to be done, before it is taken that one waits for nobody.
TURN = 20.0

#: Seconds for `cancel` to return, and for a task that was cancelled to have its outcome.
OUTCOME = 60.0

#: Seconds for what an ended task has left to end as well, before it is taken that it stays.
LEFTOVERS = 10.0

#: Seconds for which a task may go on that fails at once, and an ordinary one after it.
FAILURE = 100.0

#: The same for those that decide nothing: what is judged after them waits for no lost backend.
RECOVERY = 30.0
