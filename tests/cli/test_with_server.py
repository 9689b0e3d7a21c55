"""Commands against a running server."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from comfyserve.cli.console import Exit
from tests.cli.shell import Shell, ended
from tests.e2e.program import Program, colour_graph, editor_colour, program, ready, sampler_graph, until
from tests.web.graphs import FAILS, KNOBS

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOGO = Path(__file__).parents[2] / "examples" / "pod" / "logo.png"
STEP_MS = 5
LONG = 5000
"""Steps of a run that does not end by itself while a test looks at it."""

WRONG = (
    (("run", "absent"), Exit.REFUSED, "Deployed: "),
    (("run", "pod", "-i", "input_txt=x"), Exit.REFUSED, "Did you mean input_text?"),
    (("run", "pod", "-i", "input_number=5"), Exit.REFUSED, "Allowed: 512, 768, 1024."),
    (("run", "pod", "--key", "wrong"), Exit.REFUSED, "--key or COMFYSERVE_KEY"),
    (("run", "pod", "-i", "nothing"), Exit.USAGE, "name=value"),
    (("run", "pod", "-i", "input_image=@absent.png"), Exit.USAGE, "absent.png is not a file"),
    (("run", "pod", "--out", "taken"), Exit.USAGE, "taken is not a folder"),
    (("run", "pod", "--convert", "gif"), Exit.REFUSED, "convert_output.format"),
    (("run", "pod", "--convert", '{"format": "webp", "options": {"effort": 9}}'), Exit.REFUSED, "from 0 to 6"),
    (("run", "pod", "--convert", "{webp}"), Exit.USAGE, "--convert is neither a format nor JSON"),
    (("run", "pod", "--target", "absent.json"), Exit.USAGE, "absent.json cannot be read"),
    (("run", "pod", "--target", "taken"), Exit.REFUSED, "target"),
    (("run", "pod", "--credentials", "taken"), Exit.REFUSED, "credentials"),
    (("deploy", "taken", "--name", "a/b"), Exit.USAGE, "without a slash"),
    (("key", "revoke", "absent"), Exit.REFUSED, "no such key"),
)
"""A command, its exit code, and what it says."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    async with program(tmp_path_factory.mktemp("up") / "data", simulated_step_ms=str(STEP_MS)) as running:
        async with running.client() as client:
            await ready(client)
        yield running


@pytest.fixture
def shell(server: Program, tmp_path: Path) -> Shell:
    return Shell(tmp_path, {"COMFYSERVE_URL": server.url, "COMFYSERVE_KEY": server.key})


async def test_run_downloads_the_results_beside_what_is_there(shell: Shell) -> None:
    arguments = ("run", "pod", "-i", f"input_image=@{LOGO}", "-i", "input_number=512", "--out", "pictures")
    first, second = await shell(*arguments), await shell(*arguments)
    assert (first.code, second.code) == (Exit.OK, Exit.OK), first.err + second.err
    names = [Path(line) for line in (first.out + second.out).splitlines()]
    assert names[1].name == f"{names[0].stem} (2).png"
    assert all((shell.folder / name).read_bytes().startswith(b"\x89PNG") for name in names)
    assert "Simulated" in first.err


async def test_run_sends_a_text_as_it_was_written(shell: Shell) -> None:
    done = await shell("run", "pod", "--json", "--input", "input_text=true", "--input", "input_number=512")
    assert done.code == Exit.OK
    assert done.document["run"]["inputs"] == {"input_text": "true", "input_number": 512}
    assert [Path(name).name for name in done.document["files"]] == ["mockup_00001_.png"]


async def test_run_stores_pictures_in_another_format(shell: Shell) -> None:
    done = await shell("run", shell.file("colour.json", colour_graph()), "--convert", "webp")
    assert (done.code, done.out) == (Exit.OK, "colour_00001_.webp\n"), done.err
    assert (shell.folder / "colour_00001_.webp").read_bytes()[8:12] == b"WEBP"


async def test_run_of_a_file_uses_the_server_that_is_there(shell: Shell) -> None:
    done = await shell("run", shell.file("colour.json", colour_graph()))
    assert (done.code, done.out, done.err) == (Exit.OK, "colour_00001_.png\n", "")


async def test_a_run_that_fails_says_where_and_why(shell: Shell) -> None:
    done = await shell("run", shell.file("fails.json", FAILS))
    assert done.code == Exit.RUN_FAILED
    assert "ended as failed" in done.err and "(node 2)" in done.err


async def test_what_is_wrong_is_said(shell: Shell) -> None:
    shell.file("taken", "{}")
    ends = await asyncio.gather(*(shell(*arguments) for arguments, _, _ in WRONG))
    for (arguments, code, said), done in zip(WRONG, ends, strict=True):
        assert (done.code, done.out) == (code, ""), arguments
        assert said in done.err and "Traceback" not in done.err


async def test_what_is_wrong_is_said_to_programs(shell: Shell) -> None:
    done = await shell("run", "pod", "--json", "--input", "input_number=5")
    assert done.code == Exit.REFUSED
    error = done.document["error"]
    assert (error["code"], error["place"]) == ("invalid_input", {"node_id": "3", "field": "input_number"})


async def test_deploy_makes_versions(shell: Shell) -> None:
    file = shell.file("knobs.json", KNOBS)
    first = await shell("deploy", file, "--name", "two words")
    assert first.code == Exit.OK, first.err
    assert "version 1." in first.out and "/apps/two%20words" in first.out and "run 'two words'" in first.out
    assert "16 to 256" in first.out
    second = await shell("deploy", file, "--name", "two words", "--comment", "the same", "--json")
    assert (second.document["name"], second.document["version"]) == ("two words", 2)
    assert (await shell("run", "two words", "-i", "edge=32")).code == Exit.OK


async def test_the_editor_s_form_is_deployed_and_run(shell: Shell) -> None:
    file = shell.file("editor.json", editor_colour())
    deployed = await shell("deploy", file, "--name", "from the editor", "--json")
    assert deployed.code == Exit.OK, deployed.err
    done = await shell("run", "from the editor")
    assert (done.code, done.out) == (Exit.OK, "colour_00001_.png\n"), done.err


async def test_a_picture_is_run_again_and_deployed(shell: Shell) -> None:
    """What a run saved carries its workflow."""
    first = await shell("run", shell.file("editor.json", editor_colour()))
    assert first.code == Exit.OK, first.err
    picture = first.out.strip()
    again = await shell("run", picture, "--out", "again")
    assert again.code == Exit.OK, again.err
    assert (shell.folder / again.out.strip()).is_file()
    deployed = await shell("deploy", picture, "--name", "from a picture")
    assert deployed.code == Exit.OK, deployed.err


async def test_nodes_that_cannot_be_converted_are_named(shell: Shell) -> None:
    file = shell.file("editor.json", {"nodes": [{"id": 7, "type": "Gone"}], "links": [], "version": 0.4})
    done = await shell("deploy", file, "--name", "gone")
    assert done.code == Exit.REFUSED
    assert "node 7 (Gone): the engine has no such node class" in done.err


async def test_a_key_works_until_it_is_revoked(shell: Shell) -> None:
    key = (await shell("key", "create", "--name", "phone", "--days", "2")).out.strip()
    rows = (await shell("key", "list")).out.splitlines()
    row = next(line for line in rows if line.endswith("phone"))
    assert key.startswith(row.split()[1])
    assert (await shell("key", "revoke", row.split()[0], "--key", key)).code == Exit.OK
    refused = await shell("doctor", "--key", key)
    assert refused.code == Exit.UNHEALTHY
    assert "bad  key" in refused.out


async def test_ctrl_c_cancels_the_run(shell: Shell, server: Program) -> None:
    process = await shell.start("run", shell.file("long.json", sampler_graph(steps=LONG)))
    async with server.client() as client:
        running = await until(lambda: client.get("/v1/runs", status="running"), lambda page: len(page["items"]) == 1)
        run_id = running["items"][0]["id"]
        process.send_signal(signal.SIGINT)
        done = await ended(process)
        assert (done.code, done.out) == (Exit.STOPPED, "")
        assert done.err == f"Cancelling run {run_id}.\n"
        await until(lambda: client.run(run_id), lambda run: run["status"] == "cancelled")


async def test_one_server_for_one_port_and_one_data_directory(shell: Shell, server: Program) -> None:
    port = server.url.rpartition(":")[2]
    key_file = next(line for line in server.lines if "admin.key" in line).partition("$(cat ")[2].partition(")")[0]
    taken, second = await asyncio.gather(
        shell("up", "--port", port, "--data-dir", "other"),
        shell("up", "--port", "0", "--data-dir", str(Path(key_file).parent)),
    )
    assert (taken.code, taken.out, second.code, second.out) == (Exit.UNHEALTHY, "", Exit.UNHEALTHY, "")
    assert "--port" in taken.err
    assert "another comfyserve uses" in second.err
