"""README texts of the sample Hub's repositories, in the manner of real ones.

Belongs here: front matter, prose, templates, and the flaws that cards have. Does not: the facts
they tell (`repositories`, `models`), the wording of tasks (`task_wording`), how a README is sent
(`server`).

A card depends on its repository's facts and revision only. Some say plainly what the repository is
for, some vaguely, some not at all: what a text classifier can learn from is there, but not always.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

import orjson

from hfkg_resources.sample_hub import task_wording as wording
from hfkg_resources.sample_hub import words

Facts = Mapping[str, Any]

_COMMON = ("id", "key", "revision", "layout", "flaw", "license", "language", "free_tags")
_TASKED = (*_COMMON, "name", "topic", "pipeline_tag", "extra_tasks", "papers")
FACTS = {
    "model": (
        *_TASKED, "library", "datasets", "base_ids", "has_base", "base_key", "base_topic",
        "base_name",
    ),
    "dataset": (*_TASKED, "first_id", "size_category"),
    "space": (*_COMMON, "title", "emoji", "sdk", "models", "datasets"),
}  # fmt: skip
"""What a card of each kind is written from."""

CLEAR, VAGUE = 0.74, 0.88
"""Below the first a card says what the repository is for, below the second vaguely, else not."""

_HUGE_ROWS = 60_000
_MORE_INFORMATION = "[More Information Needed]"


@cache
def task_labels() -> dict[str, str]:
    """Labels of the Hub's tasks by id."""
    return {task["id"]: task["label"] for task in _tasks()}


@cache
def _modalities() -> dict[str, str]:
    return {task["id"]: task["modality"] for task in _tasks()}


def _tasks() -> list[dict[str, Any]]:
    return orjson.loads(files("hfkg_resources.sample_hub").joinpath("tasks.json").read_bytes())


def card(kind: str, facts: Facts) -> bytes:
    """The README of a repository.

    Args:
        kind: `model`, `dataset` or `space`.
        facts: the values of `FACTS[kind]`.

    Returns:
        UTF-8, but for one repository's.
    """
    rng = Random(facts["key"])
    layout, flaw = facts["layout"], facts["flaw"]
    if layout == "empty":
        return b""
    head = _HEADS[kind](rng, facts)
    body = "" if layout == "head_only" else _BODIES[kind](rng, facts)
    if body and facts["revision"]:
        body += _changes(facts)
    return _with_flaw(head, body, flaw)


def _with_flaw(head: str, body: str, flaw: str) -> bytes:
    text = f"---\n{head}---\n\n{body}" if body else f"---\n{head}---\n"
    match flaw:
        case "no_head":
            text = body
        case "broken_head":
            text = f"---\n{head}tags: [unclosed\nwidget: {{: -\n---\n\n{body}"
        case "crlf":
            text = text.replace("\n", "\r\n")
        case "bom":
            text = "\ufeff" + text
        case "huge":
            row = "| 0.0{0} | {0} | 1.2345 | 17.5 |\n"
            text += "\n## Training log\n\n| epoch | step | loss | WER |\n|---|---|---|---|\n"
            text += "".join(map(row.format, range(100_000, 100_000 + _HUGE_ROWS)))
        case "not_utf8":
            return (text + "\n\nUn modèle entraîné à la légère, œuvre gelée.\n").encode(
                "cp1252", errors="replace"
            )
    return text.encode()


# -- Front matter ---------------------------------------------------------------------------------


def _yaml(**fields: Any) -> str:
    """Fields as YAML, empty ones left out; texts are quoted where plain ones could be misread."""
    lines = []
    for name, value in fields.items():
        if not value:
            continue
        if isinstance(value, list):
            lines.append(f"{name}:")
            lines += [f"- {_scalar(entry)}" for entry in value]
        else:
            lines.append(f"{name}: {_scalar(value)}")
    return "\n".join(lines) + "\n" if lines else ""


def _scalar(text: str) -> str:
    plain = text.replace("-", "").replace("/", "").replace(".", "").replace("_", "")
    # `no` is a language and would be read as false; what starts with a digit as a number.
    safe = plain.isalnum() and plain.isascii() and plain[0].isalpha() and text[0].isalpha()
    return text if safe and text != "no" else json.dumps(text, ensure_ascii=False)


def _model_head(rng: Random, facts: Facts) -> str:
    topic = facts["pipeline_tag"]
    bases = facts["base_ids"]
    metrics = [name.lower() for name in wording.METRICS.get(topic, ())][:1]
    head = _yaml(
        license=facts["license"],
        language=facts["language"] if rng.random() < 0.3 else [facts["language"]],
        library_name=facts["library"],
        # Where the card is silent the Hub infers the task from the files.
        pipeline_tag=topic if rng.random() < 0.8 else None,
        tags=[*facts["free_tags"], *(facts["extra_tasks"] if rng.random() < 0.5 else ())],
        datasets=facts["datasets"],
        base_model=bases[0] if len(bases) == 1 and rng.random() < 0.6 else bases,
        metrics=metrics if rng.random() < 0.4 else None,
    )
    if topic and metrics and rng.random() < 0.08:
        head += _model_index(facts["name"], topic, metrics[0], round(rng.uniform(0.5, 0.99), 3))
    return head


def _model_index(name: str, task: str, metric: str, value: float) -> str:
    return (
        f"model-index:\n- name: {_scalar(name)}\n  results:\n  - task:\n      type: {task}\n"
        f"    metrics:\n    - type: {_scalar(metric)}\n      value: {value}\n"
    )


def _dataset_head(rng: Random, facts: Facts) -> str:
    task = facts["pipeline_tag"]
    return _yaml(
        license=facts["license"],
        language=[facts["language"]],
        task_categories=[task, *facts["extra_tasks"]] if task else None,
        size_categories=[facts["size_category"]],
        tags=facts["free_tags"],
        pretty_name=facts["name"].replace("-", " ").title() if rng.random() < 0.5 else None,
    )


def _space_head(rng: Random, facts: Facts) -> str:
    return _yaml(
        title=facts["title"],
        emoji=facts["emoji"],
        colorFrom=rng.choice(words.THEMES),
        sdk=facts["sdk"],
        license=facts["license"],
        models=facts["models"],
        datasets=facts["datasets"],
    )


# -- Bodies ---------------------------------------------------------------------------------------


def _model_body(rng: Random, facts: Facts) -> str:
    match facts["layout"]:
        case "template":
            return _template(rng, facts, "Model")
        case "trainer":
            return _trainer(rng, facts)
        case "copy":
            return _copy(rng, facts)
    text = _prose(Random(facts["key"]), facts["name"], facts["topic"], facts["language"])
    return text + _papers(facts)


def _copy(rng: Random, facts: Facts) -> str:
    """A few own words above the card of the base."""
    made = rng.choice(("Quantized", "Repackaged", "Converted", "Merged and converted"))
    base = facts["base_ids"][0] if facts["base_ids"] else "its original"
    if not facts["has_base"]:
        return f"# {facts['name']}\n\n{made} from {base}.\n"
    original = _prose(Random(facts["base_key"]), facts["base_name"], facts["base_topic"], "en")
    return (
        f"# {facts['name']}\n\n{made} from [{base}](https://huggingface.co/{base}). "
        f"Pick a file that fits your memory.\n\n# Original card\n\n{original}"
    )


def _prose(rng: Random, name: str, topic: str | None, language: str) -> str:
    """A card in its author's own words; the same for the same arguments."""
    domain, clarity = rng.choice(words.DOMAINS), rng.random()
    if language in wording.TRANSLATED and rng.random() < 0.6:
        return _translated(name, topic, domain, language, clarity)
    says = _purpose(rng, topic, clarity)
    intro = rng.choice(
        (
            "**{name}** {says}.", "This model {says}.", "{name}: a small model that {says}.",
            "A {domain} model. It {says}.", "We release {name}, which {says}.",
            "Trained on {domain} data, {name} {says}.",
        )
    ).format(name=name, says=says, domain=domain)  # fmt: skip
    if clarity < CLEAR and rng.random() < 0.6:
        intro += f" It also {_purpose(rng, topic, 0)}."
    sections = [_usage(rng, name), _data(rng, domain), _training(rng), _limits(rng), _links(rng)]
    if clarity < VAGUE and rng.random() < 0.5:
        sections.append(_evaluation(rng, topic))
    chosen = rng.sample(sections, k=rng.randint(2, 5))
    return "\n\n".join([f"# {name}", intro, *filter(None, chosen)]) + "\n"


def _purpose(rng: Random, topic: str | None, clarity: float) -> str:
    """What the repository is for, said as clearly as its author cared to."""
    if topic is None or clarity >= VAGUE:
        return rng.choice(
            (
                "is a work in progress", "is shared for a friend", "may be of use to somebody",
                "comes without any warranty", "is an experiment, see the notes below",
            )
        )  # fmt: skip
    if clarity >= CLEAR:
        return rng.choice(wording.VAGUE[_modalities()[topic]])
    if rng.random() < 0.15:
        label = task_labels()[topic].lower()
        return rng.choice(("was made for {}", "does {}", "is our take on {}")).format(label)
    return rng.choice(wording.PHRASES.get(topic, wording.VAGUE["other"]))


def _translated(name: str, topic: str | None, domain: str, language: str, clarity: float) -> str:
    texts: Any = wording.TRANSLATED[language]
    if topic is None or clarity >= CLEAR:
        intro = texts["vague"].format(name=name)
    else:
        task = texts["tasks"].get(topic, task_labels()[topic])
        intro = texts["intro"].format(name=name, task=task, domain=domain)
    return f"# {name}\n\n{intro}\n\n{texts['rest']}\n"


def _usage(rng: Random, name: str) -> str:
    code = rng.choice(
        (
            'from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained("{}")',
            'from transformers import pipeline\n\nrun = pipeline(model="{}")\nprint(run(inputs))',
            'pip install -U huggingface_hub\nhf download {}',
        )
    ).format(name)  # fmt: skip
    return f"## {rng.choice(('Usage', 'How to use', 'Quick start'))}\n\n```python\n{code}\n```"


def _data(rng: Random, domain: str) -> str:
    number = rng.choice((800, 2_400, 12_000, 55_000, 310_000))
    return (
        f"## {rng.choice(('Data', 'Training data', 'What it saw'))}\n\n"
        f"About {number} {domain} samples, "
        + rng.choice(
            (
                "collected by volunteers and cleaned by hand.",
                "scraped in one weekend; duplicates were removed, the rest is as it came.",
                "kindly shared by a partner who does not want to be named.",
                "half of them synthetic. The split is random with seed 42.",
            )
        )
    )


def _training(rng: Random) -> str:
    rate = rng.choice(("1e-5", "2e-5", "5e-5", "1e-4", "3e-4"))
    return (
        f"## {rng.choice(('Training', 'Training procedure', 'Recipe'))}\n\n"
        f"- learning rate: {rate}\n- batch size: {rng.choice((4, 8, 16, 32, 64))}\n"
        f"- epochs: {rng.randint(1, 20)}\n- seed: 42\n- hardware: {rng.randint(1, 8)} GPU"
    )


def _evaluation(rng: Random, topic: str | None) -> str:
    names = wording.METRICS.get(topic or "")
    if names is None:
        return ""
    rows = "\n".join(
        f"| {split} | {rng.uniform(10, 95):.1f} | {rng.uniform(10, 95):.1f} |"
        for split in ("validation", "test")
    )
    return f"## Evaluation\n\n| split | {names[0]} | {names[1]} |\n|---|---|---|\n{rows}"


def _limits(rng: Random) -> str:
    return f"## {rng.choice(('Limitations', 'Bias and risks', 'Caveats'))}\n\n" + rng.choice(
        (
            "Outputs can be wrong, biased or offensive. Do not use it where a mistake does harm.",
            "Works best on inputs like those seen in training; elsewhere quality drops quickly.",
            "Not tested for production. Users should be made aware of risks and limitations.",
            "It has only been tried by its author. Reports of failures are welcome.",
        )
    )


def _links(rng: Random) -> str:
    return rng.choice(
        (
            "Questions? Open a discussion or see the [documentation](https://example.org/docs).",
            "If you use this work, please cite it:\n\n```bibtex\n@misc{this, year={2025}}\n```",
            "Thanks to everybody who lent compute ❤️",
            '<p align="center"><img src="https://example.org/logo.png"></p>\n\nLicensed as above.',
        )
    )  # fmt: skip


def _trainer(rng: Random, facts: Facts) -> str:
    """The card that a training script writes by itself."""
    base = facts["base_ids"][0] if facts["base_ids"] else "an unnamed base"
    data = facts["datasets"][0] if facts["datasets"] else "None"
    results = [f"- Loss: {rng.uniform(0.1, 3):.4f}"]
    if rng.random() < 0.7:
        names = wording.METRICS.get(facts["topic"], ())
        results += [f"- {name}: {rng.uniform(0, 1):.4f}" for name in names]
    says = ""
    if rng.random() < 0.5:
        says = f"The model {_purpose(rng, facts['topic'], rng.random())}.\n\n"
    return (
        "<!-- This model card has been generated automatically according to the information the "
        "Trainer had access to. You should probably proofread and complete it, then remove this "
        f"comment. -->\n\n# {facts['name']}\n\nThis model is a fine-tuned version of "
        f"[{base}](https://huggingface.co/{base}) on the {data} dataset.\nIt achieves the "
        "following results on the evaluation set:\n"
        + "\n".join(results)
        + "\n\n## Model description\n\n"
        f"{says}More information needed\n\n## Intended uses & limitations\n\n"
        "More information needed\n\n### Training hyperparameters\n\nThe following hyperparameters "
        f"were used during training:\n- learning_rate: {rng.choice(('5e-05', '2e-05', '0.0001'))}\n"
        f"- train_batch_size: {rng.choice((8, 16, 32))}\n- seed: 42\n- optimizer: adamw_torch\n"
        f"- lr_scheduler_type: linear\n- num_epochs: {rng.randint(1, 10)}\n"
    )


def _template(rng: Random, facts: Facts, what: str) -> str:
    """The Hub's default card, hardly filled in."""
    summary = "<!-- Provide a quick summary. -->"
    if rng.random() < 0.5:
        summary = f"It {_purpose(rng, facts['topic'], rng.random())}."
    fields = "\n".join(
        f"- **{field}:** {_MORE_INFORMATION}"
        for field in ("Developed by", "Funded by [optional]", "Shared by", f"{what} type")
    )
    return (
        f"# {what} Card for {what} ID\n\n{summary}\n\n## {what} Details\n\n"
        f"This is the card of a 🤗 {what.lower()} that has been pushed on the Hub. This card has "
        f"been automatically generated.\n\n{fields}\n\n## Uses\n\n{_MORE_INFORMATION}\n\n"
        f"## Bias, Risks, and Limitations\n\n{_MORE_INFORMATION}\n\n## Environmental Impact\n\n"
        "Carbon emissions can be estimated using the [Machine Learning Impact calculator]"
        "(https://mlco2.github.io/impact#compute) presented in [Lacoste et al. (2019)]"
        f"(https://arxiv.org/abs/1910.09700).\n\n- **Hours used:** {_MORE_INFORMATION}\n"
    )


def _dataset_body(rng: Random, facts: Facts) -> str:
    if facts["layout"] == "template":
        return _template(rng, facts, "Dataset")
    name, domain, clarity = facts["name"], rng.choice(words.DOMAINS), rng.random()
    says = _purpose(rng, facts["topic"], clarity)
    if clarity < CLEAR:
        intro = rng.choice(
            (
                "Use it to train a system that {says}.", "Made for anything that {says}.",
                "Examples of {domain} for a model that {says}.",
                "We needed something that {says}, and there was no data. Now there is.",
            )
        ).format(says=says, domain=domain)  # fmt: skip
    else:
        intro = f"A collection of {domain}. It {says}."
    fields = rng.choice(("id, text, label", "input, output", "file, start, end", "id, content"))
    sections = [
        f"## Structure\n\nEach record holds: {fields}.\n\n| split | records |\n|---|---|\n"
        f"| train | {rng.randint(100, 90_000)} |\n| test | {rng.randint(50, 9_000)} |",
        _data(rng, domain),
        _limits(rng),
        _links(rng),
        "## Usage\n\n```python\nfrom datasets import load_dataset\n\n"
        f'data = load_dataset("{facts["first_id"]}")\n```',
    ]
    chosen = rng.sample(sections, k=rng.randint(2, 5))
    return "\n\n".join([f"# {name}", intro, *chosen]) + "\n" + _papers(facts)


def _papers(facts: Facts) -> str:
    return "".join(f"\nSee [{i}](https://arxiv.org/abs/{i}).\n" for i in facts["papers"])


def _space_body(rng: Random, facts: Facts) -> str:
    return f"# {facts['title']}\n\nCheck out the configuration reference of Spaces.\n"


def _changes(facts: Facts) -> str:
    """What the latest revision changed: so each revision is another text."""
    rng = Random(facts["key"] + facts["revision"])
    what = rng.choice(("typos fixed", "new weights", "numbers updated", "licence clarified"))
    return f"\n## Changes\n\n- revision {facts['revision']}: {what}\n"


_HEADS = {"model": _model_head, "dataset": _dataset_head, "space": _space_head}
_BODIES = {"model": _model_body, "dataset": _dataset_body, "space": _space_body}
