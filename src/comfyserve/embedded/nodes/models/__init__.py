"""The nodes of models: signatures from simulate/signatures.json, behaviour by role, over the simulated model."""

from comfyserve.embedded.nodes.models import (  # the import publishes the nodes of each module
    animatediff,
    cogvideo,
    conditioning,
    control,
    latents,
    loaders,
    patches,
    refused,
    sampling,
    sigmas,
    sound,
    text,
    vae,
    video,
)
from comfyserve.embedded.nodes.models.signed import family

patches.publish_the_rest()

MODULES = (
    loaders,
    text,
    conditioning,
    control,
    latents,
    sampling,
    sigmas,
    vae,
    video,
    sound,
    patches,
    refused,
    animatediff,
    cogvideo,
)

__all__ = ["MODULES", "family"]
