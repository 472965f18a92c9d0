"""The folder of a model as the Hugging Face hub has it: weights, config.json and a model card."""

import json
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData, ModelHubMixin

from unistyle.checkpoint.checkpoint import Checkpoint, save_checkpoint

CARD = """---
{header}
---

# UniStyle

Finds a material in a photo and restyles it, in one forward pass of one network. Outside the region the photo stays as
it was, bit for bit.

```python
from unistyle import UniStyle

model = UniStyle.from_pretrained("{source}")
result = model.restyle("photo.jpg", to="{style}")
result.image, result.mask, result.materials
```

- Materials that it finds: {materials}
- Styles, with their exemplars:
{styles}
- Encoder: `{encoder}` of timm; threshold on the probability of the foreground: {threshold}
- Parameters: {parameters:.2f} million

`model.safetensors` is all that is read; its header holds the configuration, of which `config.json` is a copy. Nothing
is unpickled.

## The run

{notes}

## Licence

Weights: {licence}. The photos that they were trained on, and those that the styles were taken from, keep their own
terms: {terms}
"""
NO_TERMS = "which ones is not recorded in the file."


class HubFolder(
    ModelHubMixin,
    library_name="unistyle",
    license="apache-2.0",
    pipeline_tag="image-to-image",
    tags=["style-transfer", "material-segmentation"],
):
    """Saving as a folder for the hub, and `push_to_hub(repo_id)`, of a class with `network`, `bank` and `notes`.

    Of huggingface_hub's mixins the one without PyTorch: the other can load pickled weights.
    """

    # Not made of the arguments of `__init__`, as the mixin would where it is None.
    _hub_mixin_config: dict = {}  # noqa: RUF012

    def save_pretrained(self, path: str | Path, half: bool = True, **options) -> Path | str:
        """Write a `.safetensors` file; or into a folder `model.safetensors`, `config.json` and, where there is none,
        the model card `README.md`. Returns the `.safetensors` file.

        half: see `save_checkpoint`. options: those of huggingface_hub's `ModelHubMixin.save_pretrained`;
        with `push_to_hub=True` the address of the commit is returned. model_card_kwargs: see `generate_model_card`.
        """
        file = save_checkpoint(path, Checkpoint(self.network, self.bank, self.notes), half)
        if Path(path).suffix == ".safetensors":
            return file
        return super().save_pretrained(path, **options) or file

    def _save_pretrained(self, save_directory: Path) -> None:
        # The weights are there.
        text = json.dumps(self._hub_config(), indent=2, ensure_ascii=False)
        (save_directory / "config.json").write_text(text + "\n", encoding="utf-8")

    def _hub_config(self) -> dict:
        config = self.network.config
        return {
            "library_name": "unistyle",
            "encoder": config.encoder.name,
            "materials": list(config.materials),
            "threshold": config.threshold,
            "styles": {style: [e for s, e in self.bank.names if s == style] for style in self.bank.styles},
            "notes": self.notes,
        }

    def generate_model_card(
        self, source: str = "OWNER/NAME", licence: str | None = None, terms: str | None = None
    ) -> ModelCard:
        """The model card, of what the checkpoint says of itself: no figure is in it that is not in the notes.

        source: where the model will be; licence: of the weights, as the hub names it; terms: those of the photos
        behind it. The last two by default as in the notes (`licence`, `terms`); where these say nothing, Apache-2.0
        and that the terms are not recorded.
        """
        config, notes = self._hub_config(), dict(self.notes)
        recorded = {name: notes.pop(name, None) for name in ("licence", "terms")}
        licence, terms = (
            licence or recorded["licence"] or "apache-2.0",
            terms or recorded["terms"] or NO_TERMS,
        )
        data = ModelCardData(**self._hub_mixin_info.model_card_data.to_dict() | {"license": licence})
        styles = (f"  - {style}: {', '.join(names)}" for style, names in config["styles"].items())
        text = CARD.format(
            header=data.to_yaml(),
            source=source,
            style=next(iter(config["styles"]), "wall.jpg"),
            materials=", ".join(config["materials"]) or "none",
            styles="\n".join(styles) or "  - none",
            encoder=config["encoder"],
            threshold=config["threshold"],
            parameters=sum(p.numel() for p in self.network.parameters()) / 1e6,
            notes="\n".join(f"- {name}: {_text(value)}" for name, value in notes.items())
            or "Nothing is recorded.",
            licence=licence,
            terms=terms,
        )
        return ModelCard(text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
