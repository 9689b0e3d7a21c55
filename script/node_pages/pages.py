"""docs/nodes.md, and the help that ComfyUI's editor shows beside a node."""

from collections.abc import Iterable, Iterator, Mapping

from comfy_nodes._settings import PREFIX, TABLE

from comfyserve.core.inputs.companions import OUTPUTS, TOOLS
from comfyserve.core.inputs.externals import EXTERNALS, INPUT_ID, External
from comfyserve.core.inputs.node_class import Field, NodeClass
from comfyserve.core.inputs.node_help import CLASS_HELP, field_help
from comfyserve.core.inputs.node_table import node_classes

from .drawing import default_of, type_word

IMAGES = "images/nodes"

HEAD = """# Nodes

<!-- Written by script/generate-nodes from src/comfyserve/core/inputs. -->

The package `comfy_nodes` has the nodes that declare what callers may set and what they get. Copy the folder into
`ComfyUI/custom_nodes` and restart ComfyUI; comfyserve's own engine has them already. They carry the class names of
ComfyDeploy's plugin, so workflows made for it load as they are. Install one of the two, not both. They need Python 3.10
and nothing that a ComfyUI does not have.

How callers set inputs, and how a deployment narrows them, stands in [inputs.md](inputs.md).

"""

FILES = """## Where files may come from

A field that takes a file takes an http(s) URL, a data URI, or the name of a file in the input folder, such as `a.png`,
`sub/a.png` or `a.png [output]`. Beside a comfyserve worker files are fetched before the run, by the server's rules, and
the embedded engine opens no URL itself. In a ComfyUI of your own the nodes download, with these rules:

- http and https only, to public addresses: private, loopback, link-local and metadata addresses are refused. A host is
  resolved once, and the connection goes to the address that was checked. Each of at most 5 redirects is checked again.
- Size and time have an end. A download that fails is an error with its reason, and leaves no half of a file behind.
- HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured, after the check.

The operator of that ComfyUI may set, as environment variables:

"""


REALTIME = """
## The realtime socket

`GET /comfyui-deploy/ws?clientId=NAME` (also below `/api`) on the ComfyUI is a websocket, for pictures that go in and
out without files. The two websocket nodes speak over it. The graph itself is queued as always, with `POST /prompt`.

| direction | message |
| --- | --- |
| to the client | first, as text: `{"event": "status", "data": {"sid": NAME}}`; NAME is made up when the URL has none |
| to the server | binary, little-endian: uint32 0, uint32 format, the input id in 24 bytes, the picture file |
| to the server | text: `{"event": "input", "inputs": {ID: "data:image/png;base64,..."}}`, at most 4 MB |
| to the client | text: `{"event": "received", "data": {"input_id": ID}}`; a prompt queued from now on finds it |
| to the client | binary, big-endian: uint32 1, uint32 format, the output id in 24 bytes, the picture file |
| to the client | text: `{"event": "error", "data": {"message": ...}}`, when a message could not be taken |

The format is 1 for JPEG, 2 for PNG, 3 for WEBP. Ids are ASCII, filled up with NUL bytes or blanks. For each input the
newest picture is kept, at most 32 of a connection, until the connection closes. A newer connection with the same
`clientId` ends the one before. Whoever may reach that ComfyUI may connect: put a proxy with a login before it, as for
all of its other routes.
"""


def nodes_page() -> str:
    """The text of docs/nodes.md."""
    classes = node_classes()
    groups = {"Inputs": EXTERNALS, "Outputs": OUTPUTS, "Tools": TOOLS}
    parts = [HEAD, _contents(groups, classes), FILES, _settings()]
    for title, group in groups.items():
        parts.append(f"\n## {title}\n")
        parts += [_section(classes[class_type]) for class_type in group]
    parts += [REALTIME, _differences(classes)]
    return "".join(parts)


def help_page(node: NodeClass) -> str:
    """What the editor shows when a user asks for help on a node: its place is narrow, so there are lists, no tables."""
    fields = []
    for field in node.fields:
        name, kind, default, told = _row(node, field)
        fields.append(f"- {name} ({', '.join([kind, *([default] if default else [])])}): {told}\n")
    parts = [f"# {node.title}\n\n", _summary(node), _notes(node), "\n## Fields\n\n", *fields, _outputs(node)]
    return "".join(parts)


def _contents(groups: Mapping[str, Iterable[str]], classes: Mapping[str, NodeClass]) -> str:
    lines = []
    for title, group in groups.items():
        links = ", ".join(f"[{_short(classes[name])}](#{name.lower()})" for name in group)
        lines.append(f"- {title}: {links}\n")
    return "".join(lines) + "\n"


def _short(node: NodeClass) -> str:
    return (
        node.title.replace(" (ComfyUI Deploy)", "").replace(" (ComfyDeploy)", "").replace(" (ComfyUI Deploy x VHS)", "")
    )


def _settings() -> str:
    rows = [(f"`{PREFIX}{name}`", f"`{default}`", text) for name, (default, text) in TABLE.items()]
    return _table(("variable", "default", "what it is"), rows)


def _section(node: NodeClass) -> str:
    picture = f"![{node.title}, with its fields]({IMAGES}/{node.class_type}.svg)"
    return f"\n### {node.class_type}\n\n**{node.title}**\n\n{picture}\n\n{_body(node)}"


def _body(node: NodeClass) -> str:
    rows = [_row(node, field) for field in node.fields]
    table = _table(("field", "type", "default", "what it is"), rows)
    return _summary(node) + "\n" + table + _outputs(node) + _notes(node)


def _summary(node: NodeClass) -> str:
    return " ".join([CLASS_HELP[node.class_type].summary, *_value(EXTERNALS.get(node.class_type))]) + "\n"


def _notes(node: NodeClass) -> str:
    notes = CLASS_HELP[node.class_type].notes
    return "\n" + "".join(f"- {note}\n" for note in notes) if notes else ""


def _outputs(node: NodeClass) -> str:
    outputs = ", ".join(f"`{name}` ({_escaped(kind)})" for kind, name in node.outputs)
    return f"\nOutputs: {outputs}.\n" if outputs else ""


def _value(external: External | None) -> Iterator[str]:
    if external is None:
        return
    if external.realtime:
        yield "A run cannot set it."
        return
    fields = " and ".join(f"`{name}`" for name in (INPUT_ID, *external.receives))
    yield f"Kind of input: `{external.kind.value}`; a caller's value is put into {fields}."


def _row(node: NodeClass, field: Field) -> tuple[str, str, str, str]:
    kind = type_word(field)
    if not isinstance(field.type, str) and field.type:
        kind = " / ".join(field.type)
    bounds = [f"{word} {field.options[key]}" for key, word in (("min", "from"), ("max", "to")) if key in field.options]
    default = default_of(field)
    shown = f"`{default}`" if default and not field.files else default
    return f"`{field.name}`", " ".join([_escaped(kind), *bounds]), shown, field_help(node.class_type, field.name)


def _differences(classes: Mapping[str, NodeClass]) -> str:
    rows = [
        (f"[{_short(node)}](#{class_type.lower()})", "; ".join(CLASS_HELP[class_type].unlike) + ".")
        for class_type, node in classes.items()
        if CLASS_HELP[class_type].unlike
    ]
    return (
        "\n## What differs from ComfyDeploy's plugin\n\n"
        "Names, fields, order and outputs are the same. Compared with version 2.3.10 of the plugin, where:\n\n"
        + _table(("node", "what the plugin does instead"), rows)
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines).replace(
        "|  |", "| |"
    )


def _escaped(kind: str) -> str:
    return "any" if kind == "*" else kind
