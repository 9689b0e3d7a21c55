"""`args` as packs read it: ComfyUI's options at their defaults, this engine's where it has them."""

from __future__ import annotations

import argparse
from enum import Enum
from typing import Any, Final

from comfyserve.embedded.packs.host import engine


class LatentPreviewMethod(Enum):
    """How previews of latents are made."""

    NoPreviews = "none"
    Auto = "auto"
    Latent2RGB = "latent2rgb"
    TAESD = "taesd"


class PerformanceFeature(Enum):
    """Values of --fast."""

    Fp16Accumulation = "fp16_accumulation"
    Fp8MatrixMultiplication = "fp8_matrix_mult"
    CublasOps = "cublas_ops"
    AutoTune = "autotune"


OFF: Final = [
    "auto_launch",
    "disable_auto_launch",
    "cuda_malloc",
    "disable_cuda_malloc",
    "force_fp32",
    "force_fp16",
    "fp32_unet",
    "fp64_unet",
    "bf16_unet",
    "fp16_unet",
    "fp8_e4m3fn_unet",
    "fp8_e5m2_unet",
    "fp8_e8m0fnu_unet",
    "fp16_vae",
    "fp32_vae",
    "bf16_vae",
    "cpu_vae",
    "fp8_e4m3fn_text_enc",
    "fp8_e5m2_text_enc",
    "fp16_text_enc",
    "fp32_text_enc",
    "bf16_text_enc",
    "force_channels_last",
    "disable_ipex_optimize",
    "supports_fp8_compute",
    "cache_classic",
    "cache_none",
    "use_split_cross_attention",
    "use_quad_cross_attention",
    "use_pytorch_cross_attention",
    "use_sage_attention",
    "use_flash_attention",
    "disable_xformers",
    "force_upcast_attention",
    "dont_upcast_attention",
    "gpu_only",
    "highvram",
    "normalvram",
    "lowvram",
    "novram",
    "async_offload",
    "force_non_blocking",
    "disable_smart_memory",
    "deterministic",
    "mmap_torch_files",
    "disable_mmap",
    "dont_print_server",
    "quick_test_for_ci",
    "windows_standalone_build",
    "disable_api_nodes",
    "multi_user",
    "log_stdout",
    "enable_compress_response_body",
]
"""Options that are switches and off."""
NOT_SET: Final = [
    "tls_keyfile",
    "tls_certfile",
    "enable_cors_header",
    "extra_model_paths_config",
    "output_directory",
    "temp_directory",
    "input_directory",
    "user_directory",
    "cuda_device",
    "default_device",
    "directml",
    "oneapi_device_selector",
    "reserve_vram",
    "front_end_root",
]
"""Options without a value."""


def _arguments() -> argparse.Namespace:
    settings, nodes = engine().settings, engine().node_settings
    values: dict[str, Any] = dict.fromkeys(OFF, False) | dict.fromkeys(NOT_SET)
    values |= {
        "cpu": True,
        "listen": "127.0.0.1",
        "port": 8188,
        "base_directory": str(engine().folders.base),
        "max_upload_size": settings.body_bytes / 1024**2,
        "preview_method": LatentPreviewMethod.NoPreviews,
        "preview_size": nodes.preview_size,
        "disable_metadata": nodes.disable_metadata,
        "cache_lru": 0,
        "default_hashing_function": "sha256",
        "fast": set(),
        "disable_all_custom_nodes": False,
        "whitelist_custom_nodes": [],
        "verbose": "INFO",
        "front_end_version": "comfyanonymous/ComfyUI@latest",
        "comfy_api_base": "https://api.comfy.org",
        "database_url": None,
    }
    return argparse.Namespace(**values)


args: Final = _arguments()
parser: Final = argparse.ArgumentParser(prog="comfyserve.embedded", add_help=False)
