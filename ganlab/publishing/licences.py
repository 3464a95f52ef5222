"""The licences of the data that come with ganlab or with torchvision, as their authors state them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Licence(NamedTuple):
    """The data's name, the licence's name on the Hugging Face Hub, and a sentence on it."""

    data: str
    name: str
    words: str


OPENMOJI = Licence("OpenMoji", "cc-by-sa-4.0", "All emojis designed by OpenMoji (openmoji.org), CC BY-SA 4.0.")
DRAWN = Licence("pictures that ganlab draws itself", "mit", "The pictures are drawn by ganlab, MIT.")
UNSTATED = "The authors state no licence; the pictures are used for research."
TORCHVISION = {
    "MNIST": Licence("MNIST", "cc-by-sa-3.0", "MNIST by Yann LeCun, Corinna Cortes and Chris Burges, CC BY-SA 3.0."),
    "FashionMNIST": Licence("Fashion-MNIST", "mit", "Fashion-MNIST by Zalando SE, MIT."),
    "KMNIST": Licence(
        "KMNIST", "cc-by-sa-4.0", "KMNIST by ROIS-DS Center for Open Data in the Humanities, CC BY-SA 4.0."
    ),
    "CIFAR10": Licence("CIFAR-10", "other", f"CIFAR-10 by Alex Krizhevsky. {UNSTATED}"),
    "CIFAR100": Licence("CIFAR-100", "other", f"CIFAR-100 by Alex Krizhevsky. {UNSTATED}"),
    "SVHN": Licence("SVHN", "other", "SVHN by Netzer et al. 2011, for non-commercial use only."),
    "STL10": Licence("STL-10", "other", f"STL-10 by Coates et al. 2011. {UNSTATED}"),
}
CLASSES = {
    "EmojiData": OPENMOJI,
    "LinesData": OPENMOJI,
    "ShapesData": DRAWN,
    "ShapeClassesData": DRAWN,
    "ToyData": Licence("points of a known density", "mit", "The points are drawn by ganlab, MIT."),
    "StackedMnistData": TORCHVISION["MNIST"],
}


def licence_of(recipe: Mapping[str, Any]) -> Licence:
    """Return the licence of a recipe's data. Unknown pictures have the name "unknown"."""
    data = recipe.get("data") or {}
    kind = str(data.get("_target_", "")).rpartition(".")[2]
    found = TORCHVISION.get(str(data.get("dataset"))) if kind == "TorchvisionData" else CLASSES.get(kind)
    return found or Licence("pictures of its maker", "unknown", "Its maker says nothing about the data's licence.")
