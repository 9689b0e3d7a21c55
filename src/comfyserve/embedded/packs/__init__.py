"""Node packs: the built-in nodes, and plain-Python packs in custom_nodes/, loaded as ComfyUI loads them."""

from comfyserve.embedded.packs.built_in import OWN_PACK, load_catalogue, own_pack
from comfyserve.embedded.packs.load import PackChoice, load_packs
from comfyserve.embedded.packs.registry import Pack, Packs

__all__ = ["OWN_PACK", "Pack", "PackChoice", "Packs", "load_catalogue", "load_packs", "own_pack"]
