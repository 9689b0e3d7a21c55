"""What each class of the node package is for, and its fields: the words of the editor's help and of docs/nodes.md."""

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "ComfyUIDeployExternal"


@dataclass(frozen=True)
class Help:
    """`summary` is one sentence; `notes` say what happens with odd values; `unlike` is what ComfyDeploy's node of that
    name does instead."""

    summary: str
    notes: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()


_SOURCES = "A value is an http(s) URL, a data URI, or the name of a file in the input folder."
_BROKEN = "A file that is missing or broken is an error, also when there is a default."
_FELL_BACK = "any failure quietly gives the default, or nothing"
_NUMBERS = "A number in `input_id` counts, and one that is not finite is an error; otherwise `default_value` does."
_RANGE = "A number outside of the bounds is an error."
_MODELS = (
    "comfyserve fetches a model by URL before the run; its embedded engine, run on its own, takes names of files only."
)
_ONE_DOWNLOAD = "a URL without a save name is downloaded again in each run, under a random name"

CLASS_HELP: Mapping[str, Help] = {
    f"{PREFIX}Text": Help("A text that callers may set.", unlike=("without a default the output is None",)),
    f"{PREFIX}TextAny": Help("A text for inputs of any type, such as a list to choose from."),
    f"{PREFIX}TextSingleLine": Help("A text of one line.", unlike=("there is no such node in the plugin",)),
    f"{PREFIX}Enum": Help(
        "One of several choices.", ("`options` is a JSON list; the server refuses a value that is not in it.",)
    ),
    f"{PREFIX}Boolean": Help("A switch.", unlike=('"false" that comes as text means true',)),
    f"{PREFIX}Color": Help("A colour, #rrggbb.", unlike=("there is no such node in the plugin",)),
    f"{PREFIX}Number": Help("A number.", (_NUMBERS,)),
    f"{PREFIX}NumberInt": Help(
        "A whole number.",
        (_NUMBERS, "3.7 is an error that says so."),
        ('"-5" and "3.7" quietly give the default',),
    ),
    f"{PREFIX}NumberSlider": Help(
        "A number between two bounds.", (_NUMBERS, _RANGE), ("a number out of range quietly gives the default",)
    ),
    f"{PREFIX}NumberSliderInt": Help(
        "A whole number between two bounds.",
        (_NUMBERS, "A fraction is rounded, halves to the even number.", _RANGE),
        ("a number out of range quietly gives the default",),
    ),
    f"{PREFIX}Seed": Help(
        "A seed: a fixed one, or a new one each time.",
        (
            "`default_value` inside the bounds is the seed; any other, such as -1, asks for a random one.",
            "Bounds are kept between 1 and 999999999999999 and put in order.",
        ),
    ),
    f"{PREFIX}Image": Help(
        "A picture without its transparency.",
        (f"{_SOURCES} `input_id` comes first, then `default_value_url`, then the linked `default_value`.", _BROKEN),
        (_FELL_BACK, "the status of a download is not looked at, and it may take forever"),
    ),
    f"{PREFIX}ImageAlpha": Help(
        "A picture with its transparency, if it has one.",
        (_SOURCES, _BROKEN),
        (_FELL_BACK, "a gray picture has no colour channels, which other nodes cannot read"),
    ),
    f"{PREFIX}ImageBatch": Help(
        "Several pictures as one batch.",
        (
            "`images` is a JSON list; each item is a URL, a data URI, a file name, or a zip file of pictures.",
            "All pictures are cut and scaled to the size of the first. An error names the item.",
        ),
        ("the first item that fails ends the list quietly, and so does a zip file, after its pictures",),
    ),
    f"{PREFIX}Video": Help(
        "A video as a batch of frames, with its sound.",
        (
            f"{_SOURCES} `input_id` comes first, then `default_value_url`, then `default_video`.",
            "Order: rate, skip_first_frames, select_every_nth, frame_load_cap.",
            "Frames need PyAV (ComfyUI brings it) or OpenCV, sound needs PyAV. Linked `meta_batch` is an error.",
        ),
        (
            "every `force_size` but Disabled raises an error",
            "`vae` is passed over, so the LATENT output is empty",
            "a URL without an ending makes a file name with two dots",
        ),
    ),
    f"{PREFIX}Vid": Help(
        "A video as the path of its file.",
        (_SOURCES, "What is downloaded lies in the temp folder until ComfyUI starts again."),
        ("without a value and a default there is a TypeError", "downloads stay in the input folder for ever"),
    ),
    f"{PREFIX}Audio": Help("The sound of an audio or video file.", (_SOURCES, _BROKEN), (_FELL_BACK,)),
    f"{PREFIX}File": Help(
        "Any file, as a path.",
        (
            "A URL or a data URI becomes a file in the temp folder, the name of a file in the input folder its path.",
            "In a real ComfyUI any other text is passed on as it is.",
        ),
        ("a failed download gives an empty text",),
    ),
    f"{PREFIX}EXR": Help(
        "A picture of high dynamic range, and its alpha channel as a mask.",
        (
            _SOURCES,
            "`sRGB` and `Reinhard` end between 0 and 1; `linear` leaves the light as it is.",
            "Scanline files without compression, with RLE, ZIPS or ZIP are read at once; tiles, several parts and "
            "other compressions need the package OpenEXR.",
        ),
        (_FELL_BACK, "it needs OpenCV for every file"),
    ),
    f"{PREFIX}Lora": Help(
        "A LoRA: a file that is there, or a URL that is downloaded once.",
        (
            "`lora_url` comes first; without `lora_save_name` the file's name is made of the URL.",
            "`bearer_token` goes to the host of the URL only, never to one that it redirects to.",
            "A default that is missing is an error only where it would be used.",
            _MODELS,
        ),
        ("a save name may leave the folder", _ONE_DOWNLOAD, "a missing default refuses the run even if a URL is given"),
    ),
    f"{PREFIX}Checkpoint": Help(
        "A checkpoint: a file that is there, or a URL that is downloaded once.",
        ("A default that is missing is an error only where it would be used.", _MODELS),
        ("a URL is refused before the run", _ONE_DOWNLOAD),
    ),
    f"{PREFIX}FaceModel": Help(
        "A face model for ReActor: a file that is there, or a URL that is downloaded once.",
        (_MODELS,),
        ("without the ReActor nodes there is a KeyError", "a save name may leave the folder", _ONE_DOWNLOAD),
    ),
    "ComfyDeployWebscoketImageInput": Help(
        "The newest picture that a client sent over the realtime socket.",
        (
            "With an empty client_id it is the newest one of all clients.",
            "As long as none has sent one, the linked `default_value` counts; without that it is an error.",
            "The picture is read when the node runs, and the node runs again when another one has come.",
        ),
        ("an id that is padded with NUL is not found",),
    ),
    "ComfyUIDeployStringCombine": Help(
        "Joins up to three texts, or replaces one by another.",
        (
            "`replace` puts text_c for text_b in text_a; text_b between slashes is a pattern.",
            "A pattern may take 3 seconds, and a result have 10,000,000 characters.",
        ),
    ),
    "StringFunction": Help("The same as String Combine, under the name that older workflows have."),
    "ComfyDeployOutputImage": Help("Saves pictures as PNG, JPEG or WebP under an id that callers see."),
    "ComfyDeployOutputText": Help("Saves a text under an id that callers see.", ("Valid JSON is indented.",)),
    "ComfyDeployOutputFile": Help(
        "Gives a file that another node wrote to the caller.",
        ("The file lies in the output, temp, input or models folder; outside of output it is copied there.",),
        ("a file that is refused or missing quietly gives no output", "any file below ComfyUI's folder can be given"),
    ),
    "ComfyDeployOutputEXR": Help(
        "Saves pictures as EXR files with 32-bit floats, ZIP compressed.",
        (),
        ("the counter stays at 1, so each file overwrites the one before", "it needs OpenCV"),
    ),
    "ComfyDeployWebscoketImageOutput": Help(
        "Sends pictures to a client on the realtime socket.",
        (
            "With an empty client_id all clients get them.",
            "A client that reads too slowly misses the oldest pictures; the run does not wait for it.",
            "Without a client the pictures are saved as previews in the temp folder.",
        ),
        ("without a client the pictures are lost",),
    ),
}
"""Class type -> its help."""

FIELD_HELP: Mapping[str, str] = {
    "input_id": "The name by which callers set this input. Nodes that share it get the same value.",
    "display_name": "The label on the page; empty: the input_id.",
    "description": "A sentence for those who fill the input in.",
    "default_value": "What a run gets that does not set the input.",
    "default_value_url": "The URL of what a run gets that does not set the input.",
    "default_image": "The picture of a run that does not set the input.",
    "default_mask": "The mask that belongs to default_image; none: all zeros.",
    "default_video": "A video of the input folder for runs that do not set the input.",
    "default_lora_name": "The LoRA of a run that does not set the input.",
    "default_face_model_name": "The face model of a run that does not set the input.",
    "options": 'The choices as a JSON list, such as ["small", "large"].',
    "min_value": "The least value that is taken.",
    "max_value": "The greatest value that is taken.",
    "images": "The pictures.",
    "audio_file": "URL, data URI, or file name in the input folder; callers set it.",
    "file_url": "URL, data URI, or file name in the input folder; callers set it.",
    "exr_file": "URL, data URI, or file name in the input folder; callers set it.",
    "tonemap": "How light becomes a picture between 0 and 1.",
    "force_rate": "Frames per second; 0 keeps those of the video.",
    "force_size": "The size of the frames; ? keeps the aspect, in multiples of 8.",
    "custom_width": "The width for Custom and Custom Width.",
    "custom_height": "The height for Custom and Custom Height.",
    "frame_load_cap": "The most frames to load; 0 is all.",
    "skip_first_frames": "How many frames to leave out at the start.",
    "select_every_nth": "Take one frame of so many.",
    "meta_batch": "Not supported; leave it unlinked.",
    "vae": "With a VAE the LATENT output has the encoded frames.",
    "lora_url": "A URL to download, or the name of a file that is there; callers set it.",
    "lora_save_name": "The name that a download gets in models/loras.",
    "bearer_token": "A token for the download. It is saved in the workflow, so anybody who has that can read it.",
    "face_model_url": "A URL to download, or the name of a file that is there; callers set it.",
    "face_model_save_name": "The name that a download gets in models/reactor/faces.",
    "seed": "Another number runs the node again.",
    "client_id": "The client on the realtime socket, by the `clientId` of its URL; empty: all of them.",
    "output_id": "The name by which callers tell this output from others.",
    "filename_prefix": "The beginning of the file's name; it may name a subfolder.",
    "file_type": "The format of the file.",
    "quality": "1 to 100, for JPEG and WebP.",
    "text": "The text to save.",
    "file_path": "The path of the file, as another node gives it.",
    "action": "append joins the texts, replace puts text_c for text_b.",
    "tidy_tags": "Joins with commas and takes out blanks and commas that are too many.",
    "text_a": "The first text.",
    "text_b": "The second text, or what to replace.",
    "text_c": "The third text, or what to put instead.",
}
"""Field -> what it is, in all classes but those of FIELD_HELP_OF."""

FIELD_HELP_OF: Mapping[tuple[str, str], str] = {
    (f"{PREFIX}ImageBatch", "images"): 'A JSON list, such as ["https://...", "name.png"]; callers set it.',
    (f"{PREFIX}Seed", "default_value"): "The seed; -1 or any other number outside of the bounds: a new one each time.",
    (f"{PREFIX}Vid", "default_value"): "A video of the input folder for runs that do not set the input.",
    (f"{PREFIX}Checkpoint", "default_value"): "The checkpoint of a run that does not set the input; callers set it.",
}
"""(Class, field) -> what it is there."""


def field_help(class_type: str, name: str) -> str:
    """What a field of a class is. Raises KeyError for one that nobody described."""
    return FIELD_HELP_OF.get((class_type, name)) or FIELD_HELP[name]
