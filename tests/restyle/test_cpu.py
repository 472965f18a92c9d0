"""What makes a CPU fast leaves the results as they are."""

import pytest
import torch
from torch.testing import assert_close

from unistyle.devices import map_on_cores
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
