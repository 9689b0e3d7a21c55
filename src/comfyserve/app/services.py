"""The use cases that the wire APIs call, and what those may know of the settings."""

import secrets
from functools import partial

from comfyserve import __version__
from comfyserve.apis.http.bundle import ApiOptions, Readiness, Services
from comfyserve.apis.http.spool import Spool
from comfyserve.app.base import Base, new_id, now
from comfyserve.app.outside import target_options
from comfyserve.blobs.targets import check_wish
from comfyserve.fetch.guard import Guard
from comfyserve.services.cancel import Cancel
from comfyserve.services.deployments import Deployments
from comfyserve.services.files import Files
from comfyserve.services.forms import EditorForms
from comfyserve.services.graphs import Graphs
from comfyserve.services.keys import Keys
from comfyserve.services.machines import Machines
from comfyserve.services.media import MediaStore
from comfyserve.services.runs import Runs
from comfyserve.services.submit import Submit, SubmitLimits
from comfyserve.services.watch import Watch
from comfyserve.services.workflows import Workflows
from comfyserve.settings import Settings, secret_of
from comfyserve.work.collect import NEEDS_IMAGES, conversion_available

GRAPH_BYTES = 16 * 1024 * 1024
NODES_SECONDS = 15.0
"""How long a workflow in the editor's form waits for a starting machine to tell its nodes."""
DAY = 86400
SPOOL_FOLDER = "spool"


def build_services(base: Base, url: str) -> Services:
    """The use cases that the wire APIs call; `url` is where callers reach them."""
    db, settings, graphs = base.db, base.settings, Graphs()
    files = Files(
        db,
        base.blobs,
        clock=now,
        ids=new_id,
        secret=secret_of(settings).encode(),
        public_url=url,
        url_seconds=settings.file_url_seconds,
        upload_limit=settings.max_upload_bytes,
    )
    machines = Machines(db, clock=now, ids=new_id)
    runs = Runs(db, url=files.url)
    forms = EditorForms(machines, graph_bytes=GRAPH_BYTES, wait_seconds=NODES_SECONDS)
    return Services(
        keys=Keys(
            db,
            clock=now,
            ids=new_id,
            random_bytes=secrets.token_bytes,
            session_seconds=settings.session_days * DAY,
            sign_in_seconds=settings.sign_in_seconds,
        ),
        forms=forms,
        workflows=Workflows(db, graphs, forms=forms, clock=now, ids=new_id, graph_bytes=GRAPH_BYTES),
        deployments=Deployments(db, graphs=graphs, machines=machines, clock=now, ids=new_id),
        machines=machines,
        submit=_build_submit(base, graphs, machines, files, runs, forms),
        runs=runs,
        watch=Watch(db, runs, bell=base.bell, live=base.live, url=files.url),
        cancel=Cancel(db, base.door, runs, clock=now, bell=base.bell),
        files=files,
    )


def _build_submit(
    base: Base, graphs: Graphs, machines: Machines, files: Files, runs: Runs, forms: EditorForms
) -> Submit:
    settings = base.settings
    return Submit(
        base.db,
        base.door,
        machines=machines,
        graphs=graphs,
        forms=forms,
        media=MediaStore(files, data_limit=settings.max_upload_bytes),
        runs=runs,
        sealing=base.sealing,
        clock=now,
        ids=new_id,
        draw=lambda low, high: low + secrets.randbelow(high - low + 1),
        bell=base.bell,
        limits=SubmitLimits(
            settings.max_queued,
            settings.max_attempts,
            GRAPH_BYTES,
            settings.max_body_bytes,
            no_conversion="" if conversion_available() else NEEDS_IMAGES,
            check_target=partial(check_wish, options=target_options(settings, base.scratch)),
            check_address=Guard(settings.allow_private_network).check_url,
        ),
    )


def api_options(settings: Settings, url: str, services: Services, machine_id: str) -> ApiOptions:
    """What the wire APIs may know of the settings."""

    async def readiness() -> Readiness:
        machine = await services.machines.state(machine_id)
        facts = {"database": "ok", "engine": machine.status} | ({"error": machine.error} if machine.error else {})
        return Readiness(machine.status == "ready", facts)

    spool = Spool(settings.data_dir / SPOOL_FOLDER)
    spool.open()
    return ApiOptions(
        public_url=url,
        version=__version__,
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        max_streams=settings.max_streams,
        sync_seconds=settings.sync_seconds,
        session_seconds=settings.session_days * DAY,
        cors_origins=tuple(settings.cors_origins.replace(",", " ").split()),
        ready=readiness,
        spool=spool,
    )
