"""How well materials are told apart, by checkpoints before and after `train.py vocabulary`.

    python benchmarks/new_materials.py checkpoints/unistyle-materials.safetensors found.safetensors \\
        --data ../shared/data/fmd --photos rest

Prints for each checkpoint the share of the annotated photos of `val`, and of the folders of photos of new materials, in
which their own material is the one that the most is found of; how many of `val` are taken for a new one; and the
mean IU of the masks on the photos with a boundary.
"""

import argparse
from collections import Counter
from pathlib import Path

from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.data.labelled import material_photos, materials_of
from unistyle.evaluation.measures import evaluate_masks
from unistyle.evaluation.pairs import split_photos
from unistyle.training.new_materials import largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of image/, mask/, train.txt, val.txt"
    )
    parser.add_argument("--photos", type=Path, help="folder of new materials, of photos not trained on")
    args = parser.parse_args()
    val, old = split_photos(args.data, "val"), materials_of(args.data / "image")
    for name in args.checkpoints:
        network = load_checkpoint(name).network
        bounded = [row["mean_iu"] for row in evaluate_masks(network, val) if row["boundary"]]
        found = [largest(network, photo) for photo in val]
        right = sum(material == photo.path.parent.name for material, photo in zip(found, val, strict=True))
        taken = Counter(material for material in found if material not in old)
        print(f"{name}: old materials {right} of {len(val)}, taken for new ones {dict(taken)}, "
              f"mean IU {sum(bounded) / len(bounded):.4f}")  # fmt: skip
        new = material_photos(args.photos) if args.photos else []
        for label, material in enumerate(materials_of(args.photos) if new else ()):
            own = Counter(largest(network, photo) for photo in new if photo.label == label)
            print(f"  {material}: {own[material]} of {own.total()}; {dict(own.most_common(4))}")


if __name__ == "__main__":
    main()
