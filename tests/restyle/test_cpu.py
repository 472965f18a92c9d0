"""What makes a CPU fast leaves the results as they are."""

import os
import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

from unistyle.devices import ahead, map_on_cores
from unistyle.restyle.cpu import use_onednn


def test_map_on_cores_keeps_the_order_and_computes_on_one_core_each():
    results = list(map_on_cores(lambda a, b: (a + b, torch.get_num_threads()), range(9), range(9)))
    assert results == [(2 * i, 1) for i in range(9)]
    assert list(map_on_cores(lambda a: a, [])) == []
    with pytest.raises(ZeroDivisionError):
        list(map_on_cores(lambda a: 1 / a, [1, 0]))


def test_pointwise_convolutions_through_onednn_are_the_same():
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(8, 16, 1), torch.nn.Conv2d(16, 8, 3), torch.nn.Conv2d(8, 4, 1, stride=2)
    )
    x = torch.rand(2, 8, 20, 30).contiguous(memory_format=torch.channels_last)
    wanted = layers(x)
    names = list(layers.state_dict())
    use_onednn(layers)
    if torch.backends.mkldnn.is_available():
        assert [type(layer) is torch.nn.Conv2d for layer in layers] == [False, True, True]
    with torch.inference_mode():
        assert_close(layers(x), wanted)
    layers(x).sum().backward()  # with a gradient as before
    assert list(layers.state_dict()) == names


def test_other_threads_compute_on_as_many_cores_as_before():
    """In a fresh process: the number of a thread that has not asked for it is the last one that any has set."""
    program = (
        "import torch, threading\n"
        "from unistyle.devices import map_on_cores\n"
        "def say():\n"
        "    thread = threading.Thread(target=lambda: print(torch.get_num_threads()))\n"
        "    thread.start(); thread.join()\n"
        "say()\n"
        "list(map_on_cores(lambda i: i, range(9)))\n"
        "print(torch.get_num_threads())\n"
        "say()\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    before, *after = done.stdout.split()
    assert after == [before, before], done.stderr


def test_ahead_keeps_the_order_and_makes_one_item_at_a_time():
    made = []

    def items():
        for i in range(4):
            made.append(i)
            yield i + 1

    for count, item in enumerate(ahead(items()), start=1):
        assert item == count
        assert len(made) <= count + 1
    assert list(ahead(iter([]))) == []


def test_what_goes_wrong_ahead_is_raised_where_the_item_is_used():
    def items():
        yield 1
        raise ValueError("the second")

    with pytest.raises(ValueError, match="the second"):
        list(ahead(items()))
