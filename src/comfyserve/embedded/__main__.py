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

from comfyserve.embedded.catalogue import Catalogue
from comfyserve.embedded.context import EngineSettings
from comfyserve.embedded.engine import build_engine
from comfyserve.embedded.faults.playing import Faults, start_delay
from comfyserve.embedded.faults.table import Fault, parse_fault
from comfyserve.embedded.folders import Folders
from comfyserve.embedded.http import build_app
from comfyserve.embedded.logs import log_to_stderr
from comfyserve.embedded.packs import load_catalogue
from comfyserve.embedded.parent import watch_parent
from comfyserve.embedded.settings import MEBIBYTE, ServerSettings

logger = logging.getLogger("comfyserve.embedded")

SHUTDOWN_SECONDS = 1.0
SWITCH_SECONDS = 0.001
"""How long a node may keep the interpreter from the event loop; Python's 5 ms is felt by every event."""


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit status is 0 then, 1 when the address cannot be used."""
    options = _options()
    log_to_stderr(options.log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    folders = Folders(options.base_directory)
    folders.create()
    try:
        return asyncio.run(_serve(options, folders))
    finally:
        folders.empty_temp()


async def _serve(options: argparse.Namespace, folders: Folders) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if options.exit_with_parent is not None:
        parent = options.exit_with_parent or os.getppid()
        watch_parent(parent, lambda: _end(loop, ended))
    settings = ServerSettings(
        work_ms=options.work_ms, queue_length=options.queue_length, history_length=options.history_length
    )
    nodes = EngineSettings(
        step_ms=options.step_ms,
        load_ms=options.load_ms,
        preview_size=options.preview_size,
        disable_metadata=options.disable_metadata,
        media_bytes=options.media_megabytes * MEBIBYTE,
        media_folders=tuple(options.media_folder),
    )
    faults = Faults(options.fault)
    if not await _start_in_time(start_delay(folders.base, faults), ended):
        return 0
    catalogue = load_catalogue(folders)
    if options.fault_nodes:
        _add_fault_nodes(catalogue)
    engine = build_engine(folders, catalogue, settings, nodes, faults)
    # What is loaded now stays: the collector need not look at it during every prompt.
    gc.freeze()
    runner = web.AppRunner(build_app(engine), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
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
    add("--load-ms", type=int, default=nodes.load_ms, help="what loading a simulated model costs")
    add("--work-ms", type=int, default=0, help="added to every prompt, for measurements")
    add("--preview-size", type=int, default=nodes.preview_size)
    add("--disable-metadata", action="store_true", help="write no graph into saved files")
    megabytes = nodes.media_bytes // MEBIBYTE
    add("--media-megabytes", type=int, default=megabytes, help="the most that one decoded video or sound may take")
    folder = "nodes that take a path may read there too; may be repeated"
    add("--media-folder", type=Path, action="append", default=[], metavar="DIR", help=folder)
    add("--queue-length", type=int, default=server.queue_length, help="more waiting prompts are refused with 429")
    add("--history-length", type=int, default=server.history_length)
    add(
        "--fault", type=_fault, action="append", default=[], metavar="NAME,KEY=VALUE", help="misbehave; may be repeated"
    )
    add("--fault-nodes", action="store_true", help="publish a node for each fault")
    add("--exit-with-parent", type=int, nargs="?", const=0, metavar="PID", help="end when the parent process ends")
    add("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
