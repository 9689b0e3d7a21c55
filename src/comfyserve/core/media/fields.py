"""Which field of which node names a file (comfyui-protocol.md sections 5 and 13, external-nodes.md section 2,
stateless-comfyui-api.md section 2.2)."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from comfyserve.core.catalogue import Catalogue, FieldSpec, field_specs


class MediaKind(StrEnum):
    """What a field expects of its file; FILE takes anything. IMAGES holds a JSON list of pictures and zip files, FOLDER
    a list of pictures that become the files of one folder, which the field then names."""

    IMAGE = "image"
    IMAGES = "images"
    FOLDER = "folder"
    VIDEO = "video"
    AUDIO = "audio"
    FILE = "file"

    @property
    def words(self) -> str:
        """What an error calls it."""
        return {MediaKind.IMAGES: "image or zip", MediaKind.FOLDER: "image"}.get(self, self.value)


class MediaFields(NamedTuple):
    """The fields of a class that may name a file; of several, the first that does is the one used.

    `by_path`: the node opens a path of its machine instead of a name among the inputs. `below`: the folder of the
    inputs in which the node looks; None: anywhere among them.
    """

    kind: MediaKind
    fields: Sequence[str]
    by_path: bool = False
    below: str | None = None


FIELDS: Mapping[str, MediaFields] = {
    "LoadImage": MediaFields(MediaKind.IMAGE, ("image",)),
    "LoadImageMask": MediaFields(MediaKind.IMAGE, ("image",)),
    "LoadImageOutput": MediaFields(MediaKind.IMAGE, ("image",)),
    "LoadImageSetFromFolderNode": MediaFields(MediaKind.FOLDER, ("folder",), below=""),
    "LoadVideo": MediaFields(MediaKind.VIDEO, ("file", "video")),
    "LoadAudio": MediaFields(MediaKind.AUDIO, ("audio",)),
    "RecordAudio": MediaFields(MediaKind.AUDIO, ("audio",)),
    "LoadLatent": MediaFields(MediaKind.FILE, ("latent",), below=""),
    "Load3D": MediaFields(MediaKind.FILE, ("model_file",), below="3d"),
    "Load3DAnimation": MediaFields(MediaKind.FILE, ("model_file",), below="3d"),
    "Preview3D": MediaFields(MediaKind.FILE, ("model_file",), below="3d"),
    "Preview3DAnimation": MediaFields(MediaKind.FILE, ("model_file",), below="3d"),
    "VHS_LoadVideo": MediaFields(MediaKind.VIDEO, ("video", "file")),
    "VHS_LoadVideoPath": MediaFields(MediaKind.VIDEO, ("video", "file"), by_path=True),
    "VHS_LoadVideoFFmpeg": MediaFields(MediaKind.VIDEO, ("video", "file")),
    "VHS_LoadVideoFFmpegPath": MediaFields(MediaKind.VIDEO, ("video", "file"), by_path=True),
    "VHS_LoadImagePath": MediaFields(MediaKind.IMAGE, ("image",), by_path=True),
    "VHS_LoadImages": MediaFields(MediaKind.FOLDER, ("directory",)),
    "VHS_LoadImagesPath": MediaFields(MediaKind.FOLDER, ("directory",), by_path=True),
    "VHS_LoadAudio": MediaFields(MediaKind.AUDIO, ("audio_file",), by_path=True),
    "VHS_LoadAudioUpload": MediaFields(MediaKind.AUDIO, ("audio",)),
    "ComfyUIDeployExternalImage": MediaFields(MediaKind.IMAGE, ("input_id", "default_value_url")),
    "ComfyUIDeployExternalImageAlpha": MediaFields(MediaKind.IMAGE, ("input_id",)),
    "ComfyUIDeployExternalVideo": MediaFields(MediaKind.VIDEO, ("input_id", "default_value_url")),
    "ComfyUIDeployExternalVid": MediaFields(MediaKind.VIDEO, ("input_id",)),
    "ComfyUIDeployExternalImageBatch": MediaFields(MediaKind.IMAGES, ("images",)),
    "ComfyUIDeployExternalAudio": MediaFields(MediaKind.AUDIO, ("audio_file", "input_id")),
    "ComfyUIDeployExternalEXR": MediaFields(MediaKind.FILE, ("exr_file", "input_id")),
    "ComfyUIDeployExternalFile": MediaFields(MediaKind.FILE, ("file_url", "input_id")),
}

UPLOADS: Mapping[str, MediaKind] = {
    "image_upload": MediaKind.IMAGE,
    "animated_image_upload": MediaKind.IMAGE,
    "video_upload": MediaKind.VIDEO,
    "audio_upload": MediaKind.AUDIO,
    "file_upload": MediaKind.FILE,
    "mesh_upload": MediaKind.FILE,
}
"""The option by which a choice says that people upload its files -> what they are."""

INPUT_LISTS: Mapping[tuple[str, str], MediaKind] = {
    ("LoadImage", "image"): MediaKind.IMAGE,
    ("LoadVideo", "file"): MediaKind.VIDEO,
    ("LoadAudio", "audio"): MediaKind.AUDIO,
}
"""The choices that are the files of the input folder, on every ComfyUI."""


def media_fields(class_type: str, catalogue: Catalogue | None) -> Sequence[MediaFields]:
    """The fields of a class that name files: from the table, else what the engine says of a class that is not in it."""
    if class_type in FIELDS:
        return (FIELDS[class_type],)
    told = ((name, _told_kind(spec, catalogue or {})) for name, spec in field_specs(catalogue, class_type))
    return [MediaFields(kind, (name,), below="") for name, kind in told if kind is not None]


def _told_kind(spec: FieldSpec, catalogue: Catalogue) -> MediaKind | None:
    for option, kind in UPLOADS.items():
        if spec.options.get(option):
            return kind
    if not spec.listed:
        return None
    for (class_type, name), kind in INPUT_LISTS.items():
        if any(known == name and one.listed == spec.listed for known, one in field_specs(catalogue, class_type)):
            return kind
    return None


def fits(kind: MediaKind, mime: str | None) -> bool:
    """Whether a file of this type can serve a field of this kind."""
    if kind is MediaKind.IMAGES:
        return mime == "application/zip" or fits(MediaKind.IMAGE, mime)
    if kind is MediaKind.FOLDER:
        return fits(MediaKind.IMAGE, mime)
    return kind is MediaKind.FILE or (mime is not None and mime.startswith(f"{kind}/"))
