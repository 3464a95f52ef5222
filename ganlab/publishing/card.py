"""The model card: a README.md in the form of the Hugging Face Hub, written from a published model's description."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ganlab.config.trust import FROM_ELSEWHERE
from ganlab.files.published import SAMPLES_FILE
from ganlab.metrics.registry import names

TASKS = {"text": "text-to-image", "image": "image-to-image"}
ARGUMENTS = {"text": " text={0}", "class": " label=0", "image": " input=picture.png"}
CONDITIONS = {"text": "[{0}] * 16", "class": "torch.full((16,), 0)", "image": "pictures"}
READING = {
    "image": """from ganlab.data.batch import to_float
from ganlab.sampling.gallery import opened_picture

pictures = to_float(opened_picture("input", "picture.png", model.spec.shape)).expand(16, -1, -1, -1)
""",
}
"""What a card's example reads before it draws, by the kind of condition."""
SHOWN = ("fakes", "reals", "split", "extractor", "resizer", "seed")
"""The protocol's fields that the card's table repeats. The whole protocol is in `config.json`."""
AGAIN = {"count": "fakes", "reals": "reals", "split": "split", "extractor": "extractor", "seed": "seed"}
"""The settings of `ganlab.evaluate`, with the protocol's fields that they give."""


def card(config: Mapping[str, Any]) -> str:
    """Return the card of a published model. config: the content of its `config.json`."""
    parts = (
        *(_front_matter(config), f"# {config['name']}", config["about"]),
        *(f"![Samples with the seeds 0, 1, 2, ... They are not picked.]({SAMPLES_FILE})",),
        *("## How to use", _use(config), "## Training", _training(config)),
        *("## Numbers", _numbers(config), "## Known faults", config["faults"]),
        *(
            "## Intended use",
            "Teaching, experiments, and starts for other models.",
        ),
        *("## Data and licence", f"{config['licence']['words']} Licence of the weights: {config['licence']['name']}."),
        *("## Files", _files(config)),
    )
    return "\n\n".join(parts) + "\n"


def headline(config: Mapping[str, Any]) -> str:
    """Return a sentence on what a model draws, from its recipe and its data."""
    shape, kind = config["spec"]["shape"], config["spec"].get("kind", "none")
    size = " x ".join(map(str, shape[1:] if len(shape) == 3 else shape))
    what = "Pictures" if len(shape) == 3 else "Points"
    told = {
        "text": " from captions",
        "class": f" by class ({len(config['spec'].get('classes', ()))} classes)",
        "image": " from pictures",
    }
    variant, recipe = config["recipe"]["variant"]["_target_"].rpartition(".")[2], config["recipe"].get("recipe")
    return f"{what} of {size}{told.get(kind, '')}, from {config['licence']['data']}: {variant}, recipe {recipe}."


def _front_matter(config: Mapping[str, Any]) -> str:
    task = TASKS.get(config["spec"].get("kind", "none"), "unconditional-image-generation")
    tags = "\n".join(f"- {tag}" for tag in ("gan", "ganlab", "pytorch"))
    return f"---\nlicense: {config['licence']['name']}\npipeline_tag: {task}\nlibrary_name: ganlab\ntags:\n{tags}\n---"


def _use(config: Mapping[str, Any]) -> str:
    address, kind = config["address"], config["spec"].get("kind", "none")
    caption = next(iter(config["spec"].get("prompts") or ["a picture"]))
    told = f", {CONDITIONS[kind].format(json.dumps(caption, ensure_ascii=False))}" if kind in CONDITIONS else ""
    argument = ARGUMENTS.get(kind, "").format(shlex.quote(caption))
    return (
        f"```bash\npython -m ganlab.sample checkpoint={address}{argument} count=16\n```\n\n"
        "```python\nimport ganlab\nimport torch\n\n"
        f'model = ganlab.load("{address}")\n'
        f"latent = model.draw_latent(16, torch.Generator().manual_seed(0))\n"
        f"{READING.get(kind, '')}"
        f"images = model.sample(latent{told})\n```"
    )


def _training(config: Mapping[str, Any]) -> str:
    made, found = config["training"], []
    if made.get("command"):
        found.append(f"```bash\n{made['command']}\n```\n")
    found.append(f"- {config['iteration']:,} iterations, {config['images_seen']:,} images seen")
    if made.get("seconds"):
        found.append(f"- {made['seconds']:,.0f} seconds, measurements included")
    if made.get("machine"):
        found.append(f"- Machine: {made['machine']}")
    found.append(f"- From `{config['from']['checkpoint']}`, sha256 `{config['from']['sha256']}`")
    found.append(f"- ganlab {config['ganlab']}, torch {config['torch']}")
    return "\n".join(found)


def _numbers(config: Mapping[str, Any]) -> str:
    numbers = config["numbers"]
    if not numbers:
        return "Not measured. `python -m ganlab.evaluate checkpoint=... out=numbers.json` gives numbers for this card."
    rows = "\n".join(_row(name, one) for name, one in numbers.items())
    return (
        f"| number | value | protocol |\n|---|---|---|\n{rows}\n\nThe whole protocols are in `config.json`. "
        f"This gives the numbers again:\n\n```bash\n{again(config)}\n```"
    )


def _row(name: str, one: Mapping[str, Any]) -> str:
    spread = "" if one.get("spread") is None else f" ± {one['spread']:.2g}"
    protocol = one["protocol"]
    return (
        f"| `{name}` | {one['value']:.4g}{spread} | {', '.join(f'{k} {protocol[k]}' for k in SHOWN if k in protocol)} |"
    )


def again(config: Mapping[str, Any]) -> str:
    """Return the commands that measure a card's numbers again, a line for each protocol."""
    fetched = ["allow=[hub]"] if config["recipe"].get("data", {}).get("_target_") in FROM_ELSEWHERE else []
    return "\n".join(
        " ".join(["python -m ganlab.evaluate", f"checkpoint={config['address']}", *words, *fetched])
        for words in _again_words(config["numbers"])
    )


def _again_words(numbers: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the settings of each command: metrics, and what their protocols say. Metrics that agree are in one."""
    every = [(str(one["protocol"].get("measure", name)), _said(one["protocol"])) for name, one in numbers.items()]
    groups: list[tuple[list[str], dict[str, Any]]] = []
    for measure, said in [one for one in every if one[0] in names()] or every:  # others are parts of a result
        for metrics, known in groups:
            if all(known.get(word, value) == value for word, value in said.items()):
                metrics.append(measure)
                known |= said
                break
        else:
            groups.append(([measure], said))
    for metrics, known in groups:
        settings = (f"{word}={known[word]}" for word in AGAIN if word in known)
        yield [f"metrics=[{','.join(dict.fromkeys(metrics))}]", *settings]


def _said(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return a protocol's settings in the words of `ganlab.evaluate`."""
    return {word: protocol[field] for word, field in AGAIN.items() if protocol.get(field) is not None}


def _files(config: Mapping[str, Any]) -> str:
    return "\n".join(f"- {line}" for line in file_lines(config))


def file_lines(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line on each file with weights: its form, its inputs and outputs, its parity."""
    for form, one in config["files"].items():
        inputs = ", ".join(f"`{name}` {shape}" for name, shape in one.get("inputs", {}).items())
        shapes = f" {inputs} to `images` {one['outputs']['images']}." if inputs else ""
        facts = [
            form,
            one.get("dtype", "float32"),
            *(f"{name} {one[name]}" for name in ("opset", "torch") if name in one),
        ]
        also = " The discriminator is in it." if one.get("discriminator") else ""
        largest = max(value for name, value in one.items() if name.startswith("largest_difference"))
        yield (
            f"`{one['file']}` ({', '.join(facts)}):{shapes}{also} Pictures differ from the checkpoint's by at most "
            f"{largest:.1e} on [-1, 1], in batches of 1 and 7."
        )
    if text := config.get("text", {}).get("text"):
        yield f"captions: {text}"
