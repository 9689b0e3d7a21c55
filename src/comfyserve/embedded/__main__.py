"""`python -m comfyserve.embedded --port N --base-directory DIR`: the embedded engine as a program."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from comfyserve.embedded.cache.policy import MEBIBYTE, add_cache_options, cache_policy
from comfyserve.embedded.context import EngineSettings
from comfyserve.embedded.engine import build_engine
from comfyserve.embedded.faults.playing import Faults, start_delay
from comfyserve.embedded.faults.table import Fault, parse_fault
from comfyserve.embedded.files.extra_models import FILE_NAME, add_extra_folders
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.logs import LogRing, log_to_stderr
from comfyserve.embedded.packs import PackChoice, load_catalogue, load_packs
from comfyserve.embedded.parent import watch_parent
from comfyserve.embedded.routes.app import build_app
from comfyserve.embedded.routes.editor import installed_editor
from comfyserve.embedded.settings import ServerSettings
from comfyserve.embedded.simulate.model_files import well_known

logger = logging.getLogger("comfyserve.embedded")

SHUTDOWN_SECONDS = 1.0
SWITCH_SECONDS = 0.001
"""How long a node may keep the interpreter from the event loop; Python's 5 ms is felt by every event."""


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit status is 0 then, 1 when the address or an option cannot be used."""
    options = _options()
    logs = log_to_stderr(options.log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    folders = Folders(options.base_directory, {} if options.only_model_files else well_known())
    folders.create()
    own = folders.base / FILE_NAME
    try:
        for file in [*([own] if own.is_file() else []), *options.extra_model_paths_config]:
            add_extra_folders(folders.model_folders, file)
    except ValueError as error:
        logger.error("model folders cannot be read", extra={"reason": str(error)})
        return 1
    try:
        return asyncio.run(_serve(options, folders, logs))
    finally:
        folders.empty_temp()


async def _serve(options: argparse.Namespace, folders: Folders, logs: LogRing) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if options.exit_with_parent is not None:
        parent = options.exit_with_parent or os.getppid()
        watch_parent(parent, lambda: _end(loop, ended))
    settings = ServerSettings(
        expanded_nodes=options.expanded_nodes,
        cache=cache_policy(options),
        work_ms=options.work_ms,
        body_bytes=round(options.max_upload_size * MEBIBYTE),
        queue_length=options.queue_length,
        history_length=options.history_length,
        multi_user=options.multi_user,
        cors_origin=options.enable_cors_header,
        compress=options.enable_compress_response_body,
    )
    nodes = EngineSettings(
        step_ms=options.step_ms,
        load_ms=options.load_ms,
        preview_size=options.preview_size,
        disable_metadata=options.disable_metadata,
        picture_bytes=options.picture_megabytes * MEBIBYTE,
        media_bytes=options.media_megabytes * MEBIBYTE,
        text_bytes=options.text_megabytes * MEBIBYTE,
        media_folders=tuple(options.media_folder),
    )
    faults = Faults(options.fault)
    if not await _start_in_time(start_delay(folders.base, faults), ended):
        return 0
    catalogue = load_catalogue(folders)
    if options.fault_nodes:
        _add_fault_nodes(catalogue)
    engine = build_engine(folders, catalogue, settings, nodes, faults, logs)
    await load_packs(engine, PackChoice(options.disable_all_custom_nodes, frozenset(options.whitelist_custom_nodes)))
    # What is loaded now stays: the collector need not look at it during every prompt.
    gc.freeze()
    editor = installed_editor(options.front_end_root, networked=options.networked_editor)
    runner = web.AppRunner(build_app(engine, editor), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, options.host, options.port).start()
    except OSError as error:
        logger.error("cannot listen", extra={"host": options.host, "port": options.port, "reason": str(error)})
        await runner.cleanup()
        return 1
    host, port = runner.addresses[0][:2]
    logger.info("listening", extra={"host": host, "port": port, "nodes": len(engine.catalogue)})
    await ended.wait()
    logger.info("stopping")
    await runner.cleanup()
    return 0


async def _start_in_time(delay: float, ended: asyncio.Event) -> bool:
    """Wait as a fault wants it; False when the program was told to end meanwhile."""
    if delay:
        logger.warning("starting late", extra={"seconds": delay})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), delay)
    return not ended.is_set()


def _add_fault_nodes(catalogue: Catalogue) -> None:
    from comfyserve.embedded.faults import nodes

    catalogue.add(nodes.NODE_CLASS_MAPPINGS, nodes.NODE_DISPLAY_NAME_MAPPINGS, nodes.MODULE)


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended already
        loop.call_soon_threadsafe(ended.set)


def _options() -> argparse.Namespace:
    nodes, server = EngineSettings(), ServerSettings()
    parser = argparse.ArgumentParser(prog="python -m comfyserve.embedded", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=8188, help="0 takes a free port; the log line 'listening' tells which")
    add("--host", default="127.0.0.1")
    add("--base-directory", type=Path, required=True, help="has input, output, temp, models, custom_nodes")
    add("--step-ms", type=int, default=nodes.step_ms, help="what one simulated sampler step costs")
    add("--only-model-files", action="store_true", help="list no model whose file is not in models")
    add("--load-ms", type=int, default=nodes.load_ms, help="what loading a simulated model costs")
    add("--work-ms", type=int, default=0, help="added to every prompt, for measurements")
    add("--preview-size", type=int, default=nodes.preview_size)
    add("--disable-metadata", action="store_true", help="write no graph into saved files")
    megabytes = nodes.picture_bytes // MEBIBYTE
    add("--picture-megabytes", type=int, default=megabytes, help="the most that one picture or batch may take")
    megabytes = nodes.media_bytes // MEBIBYTE
    add("--media-megabytes", type=int, default=megabytes, help="the most that one decoded video or sound may take")
    megabytes = nodes.text_bytes // MEBIBYTE
    add("--text-megabytes", type=int, default=megabytes, help="the most that one text of a node may take")
    folder = "nodes that take a path may read there too; may be repeated"
    add("--media-folder", type=Path, action="append", default=[], metavar="DIR", help=folder)
    most = "the most nodes that expansions may add to one prompt"
    add("--expanded-nodes", type=int, default=server.expanded_nodes, help=most)
    add_cache_options(parser)
    add("--queue-length", type=int, default=server.queue_length, help="more waiting prompts are refused with 429")
    add("--history-length", type=int, default=server.history_length)
    add("--max-upload-size", type=float, default=server.body_bytes / MEBIBYTE, help="of a request body, in MB")
    add("--multi-user", action="store_true", help="settings and files for each user")
    add("--enable-cors-header", nargs="?", const="*", metavar="ORIGIN", help="let pages of this origin call the engine")
    add("--enable-compress-response-body", action="store_true", help="gzip for JSON and plain text")
    add("--front-end-root", type=Path, metavar="DIR", help="an editor other than the installed package's")
    add("--networked-editor", action="store_true", help="let the editor's page ask other hosts")
    add(
        "--fault", type=_fault, action="append", default=[], metavar="NAME,KEY=VALUE", help="misbehave; may be repeated"
    )
    add("--fault-nodes", action="store_true", help="publish a node for each fault")
    add("--extra-model-paths-config", type=Path, nargs="+", action="extend", default=[], metavar="FILE")
    add("--disable-all-custom-nodes", action="store_true", help="load no pack of custom_nodes")
    add("--whitelist-custom-nodes", nargs="+", default=[], metavar="NAME", help="load these packs all the same")
    add("--exit-with-parent", type=int, nargs="?", const=0, metavar="PID", help="end when the parent process ends")
    add("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
