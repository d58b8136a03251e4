"""What a process keeps of the memory that it frees; each case in a process of its own."""

import subprocess
import sys

import pytest

SCRIPT = """
import mmap, resource, sys
import numpy as np
from tfrec.allocation import give_back_freed_memory, keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE >> 20

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def huge():
    # A gigabyte or more that is to have huge pages.
    with open("/proc/self/smaps") as file:
        parts = file.read().split("VmFlags:")
    sizes = [int(part.split("Size:")[1].split()[0]) for part in parts[:-1]]
    wanted = ["hg" in part.splitlines()[0].split() for part in parts[1:]]
    return int(sum(size for size, one in zip(sizes, wanted) if one) >= 1 << 20)

def use():
    before = faults()
    array = np.empty(64 << 20, np.uint8)
    array[:: mmap.PAGESIZE] = 1
    return faults() - before

if "keep" in sys.argv:
    keep_freed_memory()
    keep_freed_memory()
first, again, kept, asked = use(), use(), resident(), huge()
give_back_freed_memory()
print(first, again, kept - resident(), asked, huge())
"""

PROGRAM = """
import atexit
from tfrec import allocation
from tfrec.cli import main

mallopt = []
of_glibc = allocation._of_glibc
allocation._of_glibc = lambda name: mallopt.append(name) or of_glibc(name)
atexit.register(lambda: print("mallopt" in mallopt))
main()
"""


def measured(*arguments: str) -> list[int]:
    command = [sys.executable, "-c", SCRIPT, *arguments]
    # Without NumPy's own huge pages, of which a few faults bring megabytes.
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"NUMPY_MADVISE_HUGEPAGE": "0"}
    )
    return [int(word) for word in found.stdout.split()]


def test_what_is_freed_is_there_again_and_can_be_given_back() -> None:
    _, anew, _, *huge = measured()
    assert anew > 1000  # each page of the system's is a fault again
    assert huge == [0, 0]
    first, again, given_back, *huge = measured("keep")
    assert again < 10
    assert again < first
    assert given_back > 50  # MiB
    assert huge == [1, 1]


@pytest.mark.parametrize(("command", "keeps"), [("train", True), ("predict", True), ("prepare", False)])
def test_programs_that_compute_in_steps_keep_it(command: str, keeps: bool) -> None:
    words = [sys.executable, "-c", PROGRAM, command, "--help"]
    found = subprocess.run(words, check=True, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == str(keeps)
