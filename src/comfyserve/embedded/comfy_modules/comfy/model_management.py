"""Interruption and memory as packs ask for them; what is about devices and models raises NeedsTorch."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, NoReturn

from comfyserve.embedded import context
from comfyserve.embedded.packs.host import engine, needs_torch

InterruptProcessingException = context.Interrupted


class OOM_EXCEPTION(Exception):  # noqa: N801  ComfyUI's name
    """Out of memory on a GPU; never raised here."""


class VRAMState(Enum):
    """How models share a GPU."""

    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3
    HIGH_VRAM = 4
    SHARED = 5


class CPUState(Enum):
    """Where models run."""

    GPU = 0
    CPU = 1
    MPS = 2


vram_state: Final = VRAMState.DISABLED
set_vram_to: Final = VRAMState.DISABLED
cpu_state: Final = CPUState.CPU
current_loaded_models: list[Any] = []
DISABLE_SMART_MEMORY = False
XFORMERS_IS_AVAILABLE = False
lowvram_available = False
xpu_available = False
directml_enabled = False
torch_version = ""

NEED_TORCH: Final = frozenset(
    [
        "get_torch_device",
        "get_torch_device_name",
        "load_models_gpu",
        "load_model_gpu",
        "unet_dtype",
        "unet_manual_cast",
        "unet_offload_device",
        "unet_inital_load_device",
        "text_encoder_device",
        "text_encoder_offload_device",
        "text_encoder_initial_device",
        "text_encoder_dtype",
        "intermediate_device",
        "vae_device",
        "vae_offload_device",
        "vae_dtype",
        "get_autocast_device",
        "supports_dtype",
        "supports_cast",
        "pick_weight_dtype",
        "cast_to",
        "cast_to_device",
        "dtype_size",
        "device_supports_non_blocking",
        "device_should_use_non_blocking",
        "get_offload_stream",
        "sync_stream",
        "module_size",
        "maximum_vram_for_weights",
        "use_more_memory",
        "offloaded_memory",
    ]
)
"""Functions that answer with torch devices, types or tensors."""
ANSWER_NO: Final = frozenset(
    [
        "is_intel_xpu",
        "is_ascend_npu",
        "is_mlu",
        "is_ixuca",
        "is_nvidia",
        "is_amd",
        "mps_mode",
        "is_device_mps",
        "is_device_xpu",
        "is_device_cuda",
        "is_directml_enabled",
        "should_use_fp16",
        "should_use_bf16",
        "supports_fp8_compute",
        "extended_fp16_support",
        "force_channels_last",
        "sage_attention_enabled",
        "flash_attention_enabled",
        "xformers_enabled",
        "xformers_enabled_vae",
        "pytorch_attention_enabled",
        "pytorch_attention_enabled_vae",
        "pytorch_attention_flash_attention",
    ]
)
"""Questions about hardware that is not there."""


def __getattr__(name: str) -> Callable[..., Any]:
    if name in ANSWER_NO:
        return lambda *_, **__: False
    if name in NEED_TORCH:

        def refuse(*_: object, **__: object) -> NoReturn:
            needs_torch(f"comfy.model_management.{name}")

        return refuse
    raise AttributeError(f"module 'comfy.model_management' has no attribute {name!r}")


def interrupt_current_processing(value: bool = True) -> None:
    """Interrupt the running prompt; False takes an interruption back."""
    if value:
        engine().queue.interrupt()
    else:
        engine().queue.interrupted.clear()


def processing_interrupted() -> bool:
    return engine().queue.interrupted.is_set()


def throw_exception_if_processing_interrupted() -> None:
    """Raises InterruptProcessingException when the running prompt was interrupted."""
    if processing_interrupted():
        raise InterruptProcessingException


def cpu_mode() -> bool:
    return True


def is_device_cpu(device: object) -> bool:
    return True


def is_device_type(device: object, type: str) -> bool:
    return type == "cpu"


def get_total_memory(dev: object = None, torch_total_too: bool = False) -> Any:
    """Bytes of main memory; twice the number with torch_total_too."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return (total, total) if torch_total_too else total


def get_free_memory(dev: object = None, torch_free_too: bool = False) -> Any:
    """Available bytes of main memory; twice the number with torch_free_too."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    return (free, free) if torch_free_too else free


total_ram = get_total_memory() / 1024**2
total_vram = total_ram


def extra_reserved_memory() -> int:
    return 0


def minimum_inference_memory() -> int:
    return 0


def free_memory(memory_required: float, device: object, keep_loaded: object = ()) -> list[Any]:
    """No models are loaded: nothing is freed."""
    return []


def loaded_models(only_currently_used: bool = False) -> list[Any]:
    return []


def cleanup_models() -> None:
    """No models are loaded."""


def cleanup_models_gc() -> None:
    """No models are loaded."""


def unload_all_models() -> None:
    """No models are loaded."""


def soft_empty_cache(force: bool = False) -> None:
    """There is no GPU cache."""
