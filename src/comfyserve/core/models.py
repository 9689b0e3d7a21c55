"""Which field of which node names a model, and which folder of models that is (stateless-comfyui-api.md section 2.6,
with its two wrong folders put right).

What no table knows is read from the engine: a choice that lists the files of one of its folders of models.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from comfyserve.core.addresses import is_outside, is_url
from comfyserve.core.catalogue import COMBO, Catalogue, FieldSpec, field_specs
from comfyserve.core.credentials import BearerAuth, Credential
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.file_names import check_address, check_name, fault_of
from comfyserve.core.graph import Graph, Node
from comfyserve.core.kept_names import is_kept_name, tells_kept_name
from comfyserve.core.media import label_of, media_fields

ModelFolders = Mapping[str, Sequence[str]]
"""Kind of model -> the names that the engine offers for it."""

LISTED_ENDINGS = frozenset({".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"})
"""What ComfyUI lists in its own folders of models, but for the two below (comfyui-protocol.md section 5)."""

CONFIGS, REPOSITORIES = "configs", "diffusers"
"""The kinds of other files: `.yaml`, and whole repositories."""

MODEL_ENDINGS = LISTED_ENDINGS | {".gguf", ".onnx"}

FILE_KINDS = frozenset(
    {
        "audio_encoders",
        "checkpoints",
        "clip_vision",
        "controlnet",
        "diffusion_models",
        "embeddings",
        "gligen",
        "hypernetworks",
        "loras",
        "model_patches",
        "photomaker",
        "style_models",
        "text_encoders",
        "upscale_models",
        "vae",
        "vae_approx",
    }
)
"""ComfyUI's own kinds of models that are single files."""

FIELDS: Mapping[str, Mapping[str, str]] = {
    "CheckpointLoader": {"config_name": "configs", "ckpt_name": "checkpoints"},
    "CheckpointLoaderSimple": {"ckpt_name": "checkpoints"},
    "unCLIPCheckpointLoader": {"ckpt_name": "checkpoints"},
    "ImageOnlyCheckpointLoader": {"ckpt_name": "checkpoints"},
    "CreateHookModelAsLora": {"ckpt_name": "checkpoints"},
    "CreateHookModelAsLoraModelOnly": {"ckpt_name": "checkpoints"},
    "DiffusersLoader": {"model_path": "diffusers"},
    "LoraLoader": {"lora_name": "loras"},
    "LoraLoaderModelOnly": {"lora_name": "loras"},
    "CreateHookLora": {"lora_name": "loras"},
    "CreateHookLoraModelOnly": {"lora_name": "loras"},
    "VAELoader": {"vae_name": "vae"},
    "ControlNetLoader": {"control_net_name": "controlnet"},
    "DiffControlNetLoader": {"control_net_name": "controlnet"},
    "UNETLoader": {"unet_name": "diffusion_models"},
    "UnetLoaderGGUF": {"unet_name": "unet_gguf"},
    "UnetLoaderGGUFAdvanced": {"unet_name": "unet_gguf"},
    "CLIPLoader": {"clip_name": "text_encoders"},
    "CLIPLoaderGGUF": {"clip_name": "clip_gguf"},
    "CLIPVisionLoader": {"clip_name": "clip_vision"},
    "DualCLIPLoader": dict.fromkeys(("clip_name1", "clip_name2"), "text_encoders"),
    "DualCLIPLoaderGGUF": dict.fromkeys(("clip_name1", "clip_name2"), "clip_gguf"),
    "TripleCLIPLoader": dict.fromkeys(("clip_name1", "clip_name2", "clip_name3"), "text_encoders"),
    "TripleCLIPLoaderGGUF": dict.fromkeys(("clip_name1", "clip_name2", "clip_name3"), "clip_gguf"),
    "QuadrupleCLIPLoader": dict.fromkeys(("clip_name1", "clip_name2", "clip_name3", "clip_name4"), "text_encoders"),
    "QuadrupleCLIPLoaderGGUF": dict.fromkeys(("clip_name1", "clip_name2", "clip_name3", "clip_name4"), "clip_gguf"),
    "StyleModelLoader": {"style_model_name": "style_models"},
    "GLIGENLoader": {"gligen_name": "gligen"},
    "UpscaleModelLoader": {"model_name": "upscale_models"},
    "HypernetworkLoader": {"hypernetwork_name": "hypernetworks"},
    "PhotoMakerLoader": {"photomaker_model_name": "photomaker"},
    "ModelPatchLoader": {"name": "model_patches"},
    "AudioEncoderLoader": {"audio_encoder_name": "audio_encoders"},
    "LatentUpscaleModelLoader": {"model_name": "latent_upscale_models"},
    "IPAdapterModelLoader": {"ipadapter_file": "ipadapter"},
    "InstantIDModelLoader": {"instantid_file": "instantid"},
    "PulidModelLoader": {"pulid_file": "pulid"},
    "PulidFluxModelLoader": {"pulid_file": "pulid"},
    "ADE_LoadAnimateDiffModel": {"model_name": "animatediff_models"},
    "ADE_AnimateDiffLoaderGen1": {"model_name": "animatediff_models"},
    "ADE_LoadAnimateDiffModelWithCameraCtrl": {"model_name": "animatediff_models"},
    "SAMLoader": {"model_name": "sams"},
    "UltralyticsDetectorProvider": {"model_name": "ultralytics"},
    "WanVideoModelLoader": {"model": "diffusion_models"},
    "WanVideoVAELoader": {"model_name": "vae"},
    "WanVideoLoraSelect": {"lora": "loras"},
    "LoadWanVideoT5TextEncoder": {"model_name": "text_encoders"},
    "LoadWanVideoClipTextEncoder": {"model_name": "clip_vision"},
    "ComfyUIDeployExternalLora": {"lora_url": "loras", "input_id": "loras"},
    "ComfyUIDeployExternalCheckpoint": {"default_value": "checkpoints", "input_id": "checkpoints"},
    "ComfyUIDeployExternalFaceModel": {"face_model_url": "reactor/faces", "input_id": "reactor/faces"},
}
"""Class type -> field -> kind of model."""

SAME_FILES: Mapping[str, str] = {
    "unet_gguf": "diffusion_models",
    "clip_gguf": "text_encoders",
    "unet": "diffusion_models",
    "clip": "text_encoders",
}
"""Kinds that look in the folders of another one -> that one."""

HINTS: Mapping[str, str] = {
    "ckpt_name": "checkpoints",
    "ckpt": "checkpoints",
    "checkpoint": "checkpoints",
    "checkpoint_name": "checkpoints",
    "base_ckpt_name": "checkpoints",
    "refiner_ckpt_name": "checkpoints",
    "config_name": "configs",
    "lora_name": "loras",
    "lora": "loras",
    "vae_name": "vae",
    "vae": "vae",
    "unet_name": "diffusion_models",
    "diffusion_model": "diffusion_models",
    "diffusion_model_name": "diffusion_models",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "clip_name4": "text_encoders",
    "t5_name": "text_encoders",
    "text_encoder": "text_encoders",
    "text_encoder_name": "text_encoders",
    "clip_vision_name": "clip_vision",
    "control_net_name": "controlnet",
    "controlnet_name": "controlnet",
    "controlnet": "controlnet",
    "style_model_name": "style_models",
    "gligen_name": "gligen",
    "upscale_model": "upscale_models",
    "upscale_model_name": "upscale_models",
    "hypernetwork_name": "hypernetworks",
    "photomaker_model_name": "photomaker",
    "audio_encoder_name": "audio_encoders",
    "embedding_name": "embeddings",
    "ipadapter_file": "ipadapter",
    "instantid_file": "instantid",
    "pulid_file": "pulid",
    "motion_model": "animatediff_models",
    "motion_lora": "animatediff_motion_lora",
}
"""Name of a field -> what it usually names; asked when the engine's lists do not decide."""

TOKEN_FIELD = "bearer_token"
"""The field of a node that holds what opens its model."""

FOLDER_WISH = "folder"
MOST_WISHES = 100
HOW_TO_SAY = "say which with #folder=<name> at the end of the address"


@dataclass(frozen=True)
class ModelPlace:
    """A field that names a model by `url`; `value` is what stands there. `label` is the input's public name."""

    node_id: str
    field: str
    folder: str
    url: str
    value: str
    label: str


def model_places(
    graph: Graph, catalogue: Catalogue | None = None, model_folders: ModelFolders | None = None
) -> Sequence[ModelPlace]:
    """The models that a graph names by URL. Without a catalogue only those of the tables.

    Raises InvalidInput for one that may be of several kinds, or of a kind the engine does not have.
    """
    found = []
    for node_id, node in graph.nodes.items():
        for field in candidates(node, catalogue):
            value = node.inputs[field]
            url, wish = split_wish(value)
            place = Place(node_id=node_id, field=label_of(node, field))
            specs = dict(field_specs(catalogue, node.class_type))
            folder = _folder(node.class_type, field, wish, specs.get(field), model_folders, place)
            found.append(ModelPlace(node_id, field, folder, url, value, str(place.field)))
    return found


def candidates(node: Node, catalogue: Catalogue | None = None) -> Iterator[str]:
    """The fields of a node that hold the address of a model, as far as can be told."""
    if not any(is_url(value) for value in node.inputs.values()):
        return
    known = FIELDS.get(node.class_type, {})
    media = {field for one in media_fields(node.class_type, catalogue) for field in one.fields}
    specs = dict(field_specs(catalogue, node.class_type))
    combos = {name for name, spec in specs.items() if spec.type == COMBO and node.inputs.get(name) not in _listed(spec)}
    for field, value in node.inputs.items():
        if is_url(value) and field not in media and (field in known or field in combos or split_wish(value)[1]):
            yield field


def undecided(graph: Graph) -> bool:
    """Whether a field that no table knows may name a file by address, so that the engine's catalogue must be asked."""
    return any(
        is_outside(value) and not _is_known(node.class_type, field)
        for node in graph.nodes.values()
        for field, value in node.inputs.items()
    )


def split_wish(value: str) -> tuple[str, str]:
    """The address and the kind of model that its `#folder=<name>` asks for, empty without one. Whether it is an address
    that can be opened is for Fetch to say."""
    url, _, fragment = value.partition("#")
    try:
        wishes = parse_qs(fragment, max_num_fields=MOST_WISHES).get(FOLDER_WISH, [])
    except ValueError:
        return value, ""
    return (url, wishes[0]) if len(wishes) == 1 else (value, "")


def takes_models(class_type: str, field: str, spec: FieldSpec | None) -> bool:
    """Whether a field names a model file, so that it may be given an address instead."""
    if field in FIELDS.get(class_type, {}):
        return True
    if spec is None or spec.type != COMBO:
        return False
    return field in HINTS or any(isinstance(one, str) and _ends_like_a_model(one) for one in _listed(spec))


def credentials_for(graph: Graph, place: ModelPlace, given: Sequence[Credential]) -> Sequence[Credential]:
    """What opens a model: the token that stands in its node comes before the caller's credentials."""
    token = graph.nodes[place.node_id].inputs.get(TOKEN_FIELD)
    if not isinstance(token, str) or not token.strip():
        return given
    return (Credential(place.url, BearerAuth(token.strip())), *given)


def check_model_names(graph: Graph) -> None:
    """Raise InvalidInput for the name of a model that leads out of its folder, for one that only our download cache
    gives, and for data and uploads as models."""
    for node_id, node in graph.nodes.items():
        for field, value in node.inputs.items():
            if is_url(value):
                continue
            known = field in FIELDS.get(node.class_type, {})
            named, place = known or field in HINTS, Place(node_id=node_id, field=label_of(node, field))
            if tells_kept_name(value) or (named and is_kept_name(value)):
                raise InvalidInput(
                    f"{place.field} has the name of a file that was downloaded for a run; give its URL.", place=place
                )
            if isinstance(value, str) and named:
                _check_name(value, known, place)


def _check_name(value: str, known: bool, place: Place) -> None:
    check_address(value, place)
    if not is_outside(value):
        check_name(value, place, windows=True)
    elif known:
        raise InvalidInput(
            f"{place.field} cannot be an upload or a data URI; give a URL or the name of a model.", place=place
        )


def _folder(
    class_type: str, field: str, wish: str, spec: FieldSpec | None, folders: ModelFolders | None, place: Place
) -> str:
    if wish:
        return _checked(wish, folders, place)
    if (known := FIELDS.get(class_type, {}).get(field)) is not None:
        return _known_to(folders, known)
    likely, hint = _listing(spec, folders or {}), HINTS.get(field)
    if hint is not None and (not likely or hint in likely):
        return _known_to(folders, hint)
    if len(likely) == 1:
        return likely[0]
    if likely:
        words = " or ".join(likely)
        raise InvalidInput(f"{place.field} may be a model of {words}; {HOW_TO_SAY}.", place=place)
    raise InvalidInput(
        f"{place.field} of {class_type} cannot be an address: nothing tells which kind of model it names. If it is"
        f" one, {HOW_TO_SAY}.",
        place=place,
    )


def _listing(spec: FieldSpec | None, folders: ModelFolders) -> list[str]:
    """The kinds whose names a choice lists: exactly those, else those that it lists among others."""
    shown = {one for one in (spec.listed if spec else None) or () if isinstance(one, str)}
    filled = {kind: set(names) for kind, names in folders.items() if names}
    same = [kind for kind, names in filled.items() if names == shown]
    return _merged(same or [kind for kind, names in filled.items() if names < shown])


def _merged(kinds: Sequence[str]) -> list[str]:
    """The kinds without those that look in the folders of another one of them."""
    return [kind for kind in kinds if SAME_FILES.get(kind) not in kinds]


def _known_to(folders: ModelFolders | None, kind: str) -> str:
    """The kind, or the one whose folders it shares when the engine does not tell of it."""
    return SAME_FILES[kind] if folders is not None and kind not in folders and kind in SAME_FILES else kind


def _checked(wish: str, folders: ModelFolders | None, place: Place) -> str:
    wish = _known_to(folders, wish)
    if folders is not None and wish not in folders:
        raise InvalidInput(
            f"The engine has no models of the kind {wish[:80]!r}. It has: {', '.join(sorted(folders)) or 'none'}.",
            place=place,
        )
    if fault_of(wish) is not None:
        raise InvalidInput(f"The folder of {place.field} is the name of a kind of models, such as loras.", place=place)
    return wish


def _is_known(class_type: str, field: str) -> bool:
    known = any(field in one.fields for one in media_fields(class_type, None))
    return known or field in FIELDS.get(class_type, {})


def _listed(spec: FieldSpec) -> tuple[object, ...]:
    return spec.listed or ()


def _ends_like_a_model(name: str) -> bool:
    return any(name.lower().endswith(ending) for ending in MODEL_ENDINGS)
