"""Names of extractors and resizers. This file imports nothing, so a typing error is reported at once."""

from __future__ import annotations

CLIP = tuple(
    f"clip-{size}"
    for size in ("rn50", "rn101", "rn50x4", "rn50x16", "rn50x64", "vit-b-32", "vit-b-16", "vit-l-14", "vit-l-14-336px")
)
DINOV2 = tuple(f"dinov2-vit-{size}-14" for size in "sblg")
EXTRACTORS = ("auto", "inception", "imagenet", "small", *DINOV2, *CLIP)
RESIZERS = ("auto", "tf1", "antialias", "pil-bicubic")
PRECISIONS = ("float32", "bfloat16")
FILE_SUFFIXES = (".pt", ".pth", ".ts", ".torchscript")


def is_file(extractor: str) -> bool:
    """Return whether an extractor is the user's own TorchScript file rather than one of `EXTRACTORS`."""
    return extractor.lower().endswith(FILE_SUFFIXES)
