import os
import sys
import threading

import pytest

from serving.computing_threads import NICENESS, computing_threads


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_they_give_way_and_others_do_not() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    with computing_threads(2, "test") as pool:
        assert pool.submit(niceness).result() == NICENESS > before
    assert niceness() == before
