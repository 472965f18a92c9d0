"""The folder of a model as the Hugging Face hub has it: weights, config.json and a model card."""

import json
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData, ModelHubMixin

from unistyle.checkpoint.checkpoint import Checkpoint, save_checkpoint
from unistyle.network.model import UniStyleNetwork
from unistyle.styles.bank import StyleBank

CARD = Path(__file__).with_name("model_card.md")  # a template of Jinja


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

    network: UniStyleNetwork
    bank: StyleBank
    notes: dict

    # The mixin would make it from the arguments of `__init__` where it is None.
    _hub_mixin_config: dict = {}  # noqa: RUF012

    def save_pretrained(  # type: ignore[override]  # more general: it takes a file, too
        self, path: str | Path, half: bool = True, **options
    ) -> Path | str:
        """Write a `.safetensors` file; or into a folder `model.safetensors`, `config.json` and, where there is none,
        the model card `README.md`. Returns the `.safetensors` file.

        half: see `save_checkpoint`. options: those of huggingface_hub's `ModelHubMixin.save_pretrained`;
        with `push_to_hub=True` the address of the commit is returned. model_card_kwargs: see `generate_model_card`.
        Raises CheckpointError for a name that is meant as a file of another kind, such as `x.pt`.
        """
        file = save_checkpoint(path, Checkpoint(self.network, self.bank, self.notes), half)
        if Path(path).suffix.lower() == ".safetensors":
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
        licence = licence or recorded["licence"] or "apache-2.0"
        data = ModelCardData(**self._hub_mixin_info.model_card_data.to_dict() | {"license": licence})
        return ModelCard.from_template(
            data,
            template_path=str(CARD),
            source=source,
            licence=licence,
            terms=terms or recorded["terms"],
            run={name: _text(value) for name, value in notes.items()},
            parameters=sum(p.numel() for p in self.network.parameters()),
            **{name: config[name] for name in ("materials", "styles", "encoder", "threshold")},
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
