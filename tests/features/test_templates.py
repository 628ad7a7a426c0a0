"""Templates: cards that a program wrote are told from those that somebody did."""

import polars as pl
import pytest

from hfkg_assets.features.readme import parse_cards
from hfkg_assets.features.templates import TEMPLATES, find_templates

TRAINER = """<!-- This model card has been generated automatically according to the information the
Trainer had access to. You should probably proofread and complete it, then remove this comment. -->

# bert-finetuned-letters

This model is a fine-tuned version of [some/bert](https://huggingface.co/bert) on the a dataset.
It achieves the following results on the evaluation set:
- Loss: 0.4321

## Model description

{description}

### Training hyperparameters

The following hyperparameters were used during training:
- learning_rate: 2e-05
- optimizer: Adam with betas=(0.9,0.999) and epsilon=1e-08

### Training results

| Training Loss | Epoch | Step | Validation Loss |
|:-------------:|:-----:|:----:|:---------------:|
| 0.5           | 1.0   | 100  | 0.4321          |
"""

MODEL_CARD = """# Model Card for Model ID

<!-- Provide a quick summary of what the model is/does. -->

This is the model card of a 🤗 transformers model that has been pushed on the Hub.

- **Developed by:** [More Information Needed]
- **Funded by [optional]:** [More Information Needed]

## Environmental Impact

Carbon emissions can be estimated using the [calculator](https://mlco2.github.io/impact#compute).
"""

OPUS = """### opus-mt-xx-yy

* source languages: xx
* target languages: yy
* OPUS readme: [xx-yy](https://github.com/Helsinki-NLP/OPUS-MT-train)
* dataset: opus
* model: transformer-align
* download original weights: [opus-2020-01-08.zip](https://object.pouta.csc.fi/x.zip)

| testset | BLEU  | chr-F |
|---------|-------|-------|
| JW300.xx.yy | 31.9 | 0.5 |
"""

TWEETS = """## 🤖 A Bot of Some Renown And More 🤖 AI Bot

I was made with [huggingtweets](https://github.com/borisdayma/huggingtweets).

Create your own bot based on your favorite user with [the demo](https://colab.example)!

The model was trained on tweets from somebody with a long name.
"""

CARDS = {
    "trainer": TRAINER.format(description="More information needed"),
    "model-card": MODEL_CARD,
    "opus-mt": OPUS,
    "huggingtweets": TWEETS,
    "lerobot": "This dataset was created using [LeRobot](https://github.com/huggingface/lerobot).",
    "reinforcement-learning": "# **PPO** Agent playing **Lander**\nThis is a trained model of a "
    "**PPO** agent playing **Lander**\nusing the [stable-baselines3 library](https://x.org).",
}


def found(card: str) -> tuple[str | None, bool]:
    clean = parse_cards([card], ["translation"])["clean"]
    return find_templates(pl.Series([card]), clean).row(0)


@pytest.mark.parametrize("name", CARDS)
def test_a_card_that_is_nothing_but_template_is_told(name: str) -> None:
    assert found(CARDS[name]) == (name, True)


@pytest.mark.parametrize(
    "own",
    [
        "It reads letters to the editor and tells how angry they are.",
        "这个模型是用读者写给报纸编辑的信件训练出来的",
    ],
)
def test_a_sentence_of_the_author_s_own_is_told_from_the_template(own: str) -> None:
    assert found(TRAINER.format(description=own)) == ("trainer", False)
    assert found(f"{MODEL_CARD}\n{own}\n") == ("model-card", False)


@pytest.mark.parametrize("card", ["", "# A model\n\nIt sorts letters by how angry they are."])
def test_a_card_of_no_known_template_is_never_nothing_but_template(card: str) -> None:
    assert found(card) == (None, False)


def test_every_mark_finds_its_template_or_one_that_goes_before() -> None:
    order = list(TEMPLATES)
    for name, template in TEMPLATES.items():
        for mark in template.marks:
            told, _ = find_templates(pl.Series([f"x {mark} y"]), pl.Series(["x"])).row(0)
            assert order.index(told) <= order.index(name)


def test_many_cards_are_told_as_each_by_itself() -> None:
    cards = [*CARDS.values(), "", TRAINER.format(description="Angry letters, told from kind ones.")]
    clean = parse_cards(cards, ["translation"])["clean"]
    assert find_templates(pl.Series(cards), clean).rows() == [found(card) for card in cards]
    assert find_templates(pl.Series([], dtype=pl.String), clean.clear()).rows() == []
