"""A sentence-transformers model whose transformer runs in OpenVINO: as it is, or in 8 bits.

Belongs here: converting, quantizing, keeping what came of it, putting it in the transformer's
place. Does not: finding a model, batches, instructions (`text_encoder`).

Only the transformer is replaced: tokens, pooling and all that follows stay the model's own. What
was converted is kept on disk, since it takes from seconds (fp32) to minutes (8 bits).
"""

import inspect
import logging
import os
import shutil
import sys
import uuid
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hfkg_resources.atomic_write import SUFFIX

if TYPE_CHECKING:
    import openvino as ov
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

RECIPE = 1
"""Number of the way in which models are quantized; another way makes other vectors."""

CALIBRATION_TEXTS = 64
CONTROL_TEXTS = 12
TEXT_CHARACTERS = 4_000
"""What fills the 512 tokens that most models take."""

QUERY_CHARACTERS = 100

LEAST_COSINE = {False: 0.9999, True: 0.9}
"""What each control text's vector must have to torch's, by whether it is of 8 bits."""

_OUTPUT = "last_hidden_state"


class OpenVinoMissing(Exception):
    """A backend is set whose packages are not installed."""


class NotConvertible(Exception):
    """OpenVINO cannot stand in for this model's transformer, or not well enough."""


def run_in_openvino(
    model: "SentenceTransformer", folder: Path, *, int8: bool, instruction: str = ""
) -> None:
    """Lets a model's transformer run in OpenVINO from now on.

    Args:
        model: on the CPU; changed in place.
        folder: the converted transformer's, read where it is there, else made.
        int8: whether weights and activations have 8 bits.
        instruction: what stands before documents, for calibration.

    Raises:
        OpenVinoMissing: its packages are not installed.
        NotConvertible: the model is not made of a transformer and pooling, the conversion failed,
            or its vectors are not near enough to torch's.
    """
    ov = _openvino(int8)
    transformer = _transformer(model)
    fresh = not _is_there(folder)
    control = ["short", *calibration_texts()[-CONTROL_TEXTS:]] if fresh else []
    if fresh:
        expected = _encode(model, control, instruction)
        converted = _converted(ov, model, transformer)
        if int8:
            log.info("quantizing the text encoder for OpenVINO, once: this takes a minute or more")
            converted = _quantized(ov, model, converted, instruction)
    else:
        converted = ov.Core().read_model(folder / "model.xml")
    transformer.forward = _compiled(ov, converted)
    if fresh:
        cosine = float((_encode(model, control, instruction) * expected).sum(axis=1).min())
        if not cosine >= LEAST_COSINE[int8]:  # nor is it where vectors are no numbers
            raise NotConvertible(
                f"in OpenVINO{' with 8 bits' if int8 else ''} this text encoder's vectors have a "
                f"cosine of {cosine:.3f} at worst to its own: set HFKG_ENCODER_BACKEND=torch"
            )
        log.info("converted the text encoder for OpenVINO: cosine %.4f at worst", cosine)
        try:
            _keep(ov, converted, folder)
        except OSError as error:
            log.warning("the converted text encoder cannot be kept, only used: %s", error)


def calibration_texts() -> list[str]:
    """Texts that activations are measured on: READMEs of the sample Hub.

    The same ones everywhere, so that a model is quantized alike wherever and whenever it is.
    """
    from hfkg_resources.sample_hub.world import World

    day = World(repositories=300).at(date(2026, 1, 1))
    cards = [
        day.readme(kind, repo_id)
        for kind, table in (("model", day.models), ("dataset", day.datasets))
        for repo_id in table["id"]
    ]
    texts = sorted({card.decode(errors="replace")[:TEXT_CHARACTERS] for card in cards if card})
    chosen = np.random.default_rng(7).permutation(len(texts))[: CALIBRATION_TEXTS + CONTROL_TEXTS]
    return [texts[i] for i in chosen]


# --- steps ---------------------------------------------------------------------------------------


def _openvino(int8: bool) -> Any:
    # Both packages report each use to their makers unless this third one cannot be imported.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino

        if int8:
            import nncf  # noqa: F401
    except ImportError as error:
        raise OpenVinoMissing(
            f"HFKG_ENCODER_BACKEND={'openvino-int8' if int8 else 'openvino'} needs the package "
            f"{error.name}: pip install 'hfkg[fast]'"
        ) from None
    return openvino


def _transformer(model: "SentenceTransformer") -> Any:
    """The network within the first module.

    Raises:
        NotConvertible: it is none that gives a vector for each token.
    """
    first = model[0]
    output = getattr(first, "modality_config", {}).get("text", {})
    if output.get("method") != "forward" or output.get("method_output_name") not in (
        _OUTPUT, (_OUTPUT,), [_OUTPUT],
    ):  # fmt: skip
        names = " + ".join(type(module).__name__ for module in model)
        raise NotConvertible(
            f"OpenVINO runs text encoders that are a transformer and pooling, and this one is "
            f"{names}: set HFKG_ENCODER_BACKEND=torch"
        )
    return first.model


def _converted(ov: Any, model: "SentenceTransformer", transformer: Any) -> "ov.Model":
    # Two texts of different length: with one, or without padding, the trace would take the number
    # of texts or the lack of a mask for something that never changes.
    features = model.preprocess(["a text", "and another one, of more words than that"])
    taken = inspect.signature(transformer.forward).parameters
    inputs = {name: features[name] for name in model.tokenizer.model_input_names if name in taken}
    try:
        # Written out, a token that may see no other gets some vector; the fused operation, which
        # OpenVINO makes of it anyway, would be traced with a mask that gives NaN there.
        transformer.set_attn_implementation("eager")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = ov.convert_model(transformer, example_input=inputs)
        return ov.Model([converted.output(_OUTPUT)], converted.get_parameters(), "transformer")
    except Exception as error:  # of any kind: the tracer's, the converter's, the network's own
        reason = str(error).strip().split("\n")[0]
        raise NotConvertible(
            f"OpenVINO cannot convert this text encoder ({type(error).__name__}: {reason}): "
            "set HFKG_ENCODER_BACKEND=torch"
        ) from error


def _quantized(
    ov: Any, model: "SentenceTransformer", converted: "ov.Model", instruction: str
) -> "ov.Model":
    import nncf

    names = [parameter.any_name for parameter in converted.inputs]

    def inputs(text: str) -> dict[str, np.ndarray]:
        features = model.preprocess([text], prompt=instruction)
        return {name: features[name].numpy() for name in names}

    nncf.set_log_level(logging.ERROR)
    # Every other one as short as a query: vectors of long texts come out nearer, too.
    texts = calibration_texts()[:CALIBRATION_TEXTS]
    texts = [text[:QUERY_CHARACTERS] if i % 2 else text for i, text in enumerate(texts)]
    return nncf.quantize(
        converted,
        nncf.Dataset(texts, inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(texts),
    )


def _compiled(ov: Any, converted: "ov.Model") -> Callable[..., dict[str, Any]]:
    import torch

    compiled = ov.compile_model(
        converted,
        "CPU",
        # Else a CPU with bf16 would make other vectors than one without.
        {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"},
    )
    names = [parameter.any_name for parameter in compiled.inputs]

    def forward(**features: Any) -> dict[str, Any]:
        result = compiled({name: features[name].numpy() for name in names})[0]
        return {_OUTPUT: torch.from_numpy(result)}

    return forward


def _encode(model: "SentenceTransformer", texts: Sequence[str], instruction: str) -> np.ndarray:
    return np.asarray(
        model.encode(
            list(texts), prompt=instruction, batch_size=CONTROL_TEXTS + 1,
            normalize_embeddings=True, show_progress_bar=False,
        )
    )  # fmt: skip


def _is_there(folder: Path) -> bool:
    return (folder / "model.xml").is_file()


def _keep(ov: Any, converted: "ov.Model", folder: Path) -> None:
    """Writes a folder that is there whole or not at all; one that came first stays."""
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}{SUFFIX}")
    temporary.mkdir(parents=True)
    try:
        ov.save_model(converted, temporary / "model.xml", compress_to_fp16=False)
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        try:
            temporary.rename(folder)
        except OSError:
            if not _is_there(folder):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
