"""Loaders: a file name becomes a model. The simulated ones read no file; unknown names are refused before."""

from __future__ import annotations

from typing import Any

from comfyserve.embedded.context import current
from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.simulate.model import Model


def loaded(*files: str) -> Model:
    """The model of these files; takes what the setting load_ms says, and can be interrupted."""
    current().loading()
    return Model.loaded(*files)


@simulates("CheckpointLoaderSimple", "CheckpointLoader")
def load_checkpoint(ckpt_name: str, config_name: str = "") -> tuple[Model, Model, Model]:
    """Model, text encoder and VAE of one file."""
    model = loaded(ckpt_name)
    return model, model, model


@simulates("DiffusersLoader")
def load_diffusers(model_path: str) -> tuple[Model, Model, Model]:
    """As CheckpointLoaderSimple, from a folder."""
    return load_checkpoint(model_path)


@simulates("unCLIPCheckpointLoader")
def load_unclip(ckpt_name: str) -> tuple[Model, Model, Model, Model]:
    """With the picture encoder that belongs to it."""
    model = loaded(ckpt_name)
    return model, model, model, model


@simulates("ImageOnlyCheckpointLoader")
def load_image_only(ckpt_name: str) -> tuple[Model, Model, Model]:
    """A model that takes pictures instead of words: its second part is the picture encoder."""
    return load_checkpoint(ckpt_name)


@simulates(
    "UNETLoader",
    "CLIPLoader",
    "DualCLIPLoader",
    "TripleCLIPLoader",
    "QuadrupleCLIPLoader",
    "VAELoader",
    "ControlNetLoader",
    "StyleModelLoader",
    "CLIPVisionLoader",
    "GLIGENLoader",
    "UpscaleModelLoader",
    "PhotoMakerLoader",
    "ModelPatchLoader",
    "AudioEncoderLoader",
)
def load_files(**files: Any) -> Model:
    """One model of one or several files; how it is kept in memory decides nothing here."""
    names = [str(value) for name, value in files.items() if name.rstrip("1234").endswith("name")]
    return loaded(*names)


@simulates("DiffControlNetLoader")
def load_diff_controlnet(model: Model, control_net_name: str) -> Model:
    """A ControlNet that is stored as a difference to a model."""
    return loaded(control_net_name)


@simulates("LoraLoader")
def load_lora(
    model: Model, clip: Model, lora_name: str, strength_model: float, strength_clip: float
) -> tuple[Model, Model]:
    """The name decides how the picture changes, the strength how much; strength 0 changes nothing."""
    return load_lora_model_only(model, lora_name, strength_model), _with_lora(clip, lora_name, strength_clip)


@simulates("LoraLoaderModelOnly")
def load_lora_model_only(model: Model, lora_name: str, strength_model: float) -> Model:
    """As LoraLoader, without the text encoder."""
    if strength_model:
        current().loading()
    return _with_lora(model, lora_name, strength_model)


@simulates("HypernetworkLoader")
def load_hypernetwork(model: Model, hypernetwork_name: str, strength: float) -> Model:
    """Changes the picture as a LoRA does."""
    current().loading()
    return model.add("hypernetwork", hypernetwork_name, strength) if strength else model


def _with_lora(model: Model, name: str, strength: float) -> Model:
    return model.add("lora", name, strength) if strength else model
