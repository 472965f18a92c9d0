"""Lies in the metadata of a safetensors file: what a person may write."""

import json
from functools import cache

import timm

from benchmarks.fuzz.damage import NUMBERS, Parts, Rng, pick


def names(count: int, length: int) -> list[str]:
    return [f"{i:0{length}}" for i in range(count)]


@cache
def models() -> list[str]:
    return timm.list_models()


def hostile(rng: Rng) -> object:
    """A value of a type or a size that nothing expects."""
    deep: list = []
    for _ in range(int(rng.integers(1, 400))):
        deep = [deep]
    return pick(rng, [
        *NUMBERS, float("nan"), float("inf"), -1.5, False, "", " ", "x" * int(10 ** rng.uniform(1, 6)), "\ud800",
        "\x1b[31m", "\u202e", "語", "../../etc/passwd", "%s%n", "a\x00b", {"a": {}}, [None], ["a", "a"], [1, 2], deep,
        "0.5", "ab", ["leather", "stone", "metal"], [["a", "b"]], {"name": 1},
    ])  # fmt: skip


def encoder_name(rng: Rng) -> object:
    return pick(rng, [
        "hf-hub:timm/resnet18.a1_in1k", "hf_hub:owner/name", "local-dir:/etc", "HF-HUB:a/b", "timm/resnet18", "/etc",
        "https://example.com/a", "mobilenetv2_050.", "mobilenetv2_050.x", "mobilenetv2_050:", "regnety_2560",
        "vit_giant_patch14_dinov2", "convnextv2_huge", "os.system", "m" * 10**6, "\uff4dobilenetv2", "", None, 10**9,
        "__init__", pick(rng, models()), hostile(rng),
    ])  # fmt: skip


def config_lies(rng: Rng, parts: Parts) -> Parts:
    about = parts.header["__metadata__"]
    config = json.loads(about["config"])
    place = pick(rng, ["encoder", "name", "encoder.", "materials", "threshold", "more", "less", "whole"])
    value = hostile(rng)
    if place == "name":
        config["encoder"]["name"] = encoder_name(rng)
    elif place == "encoder.":
        config["encoder"][pick(rng, ["pretrained", "weights", "widths", "features_only", "name"])] = value
    elif place == "more":
        config[pick(rng, ["widths", "levels", "self", "__class__", "materials "])] = pick(
            rng, [10**9, [10**9], value]
        )
    elif place == "less":
        config.pop(pick(rng, config))
    elif place == "materials" and rng.random() < 0.5:
        lists = [names(2, 10**6), names(10**5, 7), names(3, 10**5), names(3, 1), names(10**6, 1)]
        config["materials"] = pick(rng, lists)
    elif place != "whole":
        config[place] = value
    about["config"] = json.dumps(value if place == "whole" else config)
    return parts


def bank_lies(rng: Rng, parts: Parts) -> Parts:
    about = parts.header["__metadata__"]
    bank, value = json.loads(about["bank"]), hostile(rng)
    row = int(rng.integers(len(bank)))
    kind = int(rng.integers(5))
    if kind < 2:
        bank[row] = pick(rng, [value, [value], [value, value], [*bank[row], value], bank[0]])
    elif kind < 4:
        bank[row][kind - 2] = value
    else:
        bank = pick(rng, [value, bank * 2, bank[1:], bank * 10**4, {}])
    about["bank"] = json.dumps(bank)
    return parts


def metadata_lies(rng: Rng, parts: Parts) -> Parts:
    """A part of the metadata is another text, no text, or is lost."""
    about = parts.header["__metadata__"]
    name = pick(rng, about)
    kind = int(rng.integers(4))
    if kind == 0:
        del about[name]
    elif kind == 1:
        about[name] = json.dumps(hostile(rng))
    elif kind == 2:
        about[name] = pick(rng, ["", "{", "[" * 10**5, "9" * 5000, "²", "-1", "1e5", "NaN", "x" * 10**6, "\x00", "null",
                                 '{"a":' * 3000 + "1" + "}" * 3000])  # fmt: skip
    else:
        about[name] = hostile(rng)
    return parts


def style_lies(rng: Rng, parts: Parts) -> Parts:
    about, value = parts.header["__metadata__"], hostile(rng)
    name = pick(rng, ["style", "exemplars", "space"])
    about[name] = value if isinstance(value, str) and name != "exemplars" else json.dumps(value)
    return parts
