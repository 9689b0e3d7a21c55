"""Commands where no server runs."""

import asyncio
import json
import signal
from pathlib import Path

import psutil
import pytest

from comfyserve.cli.console import Exit
from comfyserve.cli.run import read_value
from comfyserve.cli.strays import stray_settings
from tests.cli.shell import Shell, ended, free_port
from tests.e2e.program import colour_graph, until
from tests.emulators.servers import Bucket

HEAVY = ("comfyserve.server", "comfyserve.settings", "httpx2", "rich")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, {"COMFYSERVE_PORT": free_port()})


def _left_behind(shell: Shell) -> list[str]:
    """Temporary files, and processes that name the folder."""
    files = [str(path) for path in shell.temporary.iterdir()]
    lines = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return files + [line for line in lines if str(shell.folder) in line]


async def test_run_of_a_file_starts_what_it_needs_and_leaves_nothing(shell: Shell) -> None:
    done = await shell("run", shell.file("colour.json", colour_graph()), "--out", "out")
    assert (done.code, done.out) == (Exit.OK, "out/colour_00001_.png\n"), done.err
    assert done.err == "No server is running; starting one for this run.\n"
    assert _left_behind(shell) == []
    assert sorted(path.name for path in shell.folder.iterdir()) == ["colour.json", "out", "tmp"]


async def test_a_stopped_run_of_a_file_leaves_nothing(shell: Shell) -> None:
    process = await shell.start("run", shell.file("colour.json", colour_graph()))

    async def databases() -> list[Path]:
        return list(shell.temporary.glob("comfyserve-*/*.db"))

    await until(databases, bool)
    process.send_signal(signal.SIGTERM)
    assert (await ended(process)).code == Exit.STOPPED
    assert _left_behind(shell) == []


async def test_a_comfyui_that_does_not_start_ends_the_command(shell: Shell) -> None:
    done = await shell("run", shell.file("colour.json", colour_graph()), "--json", COMFYSERVE_COMFY_HOME="/absent")
    assert done.code == Exit.REFUSED
    assert done.document["error"]["code"] == "engine_lost"
    assert _left_behind(shell) == []


async def test_a_server_that_was_named_is_not_replaced(shell: Shell) -> None:
    file = shell.file("colour.json", colour_graph())
    address = f"http://127.0.0.1:{free_port()}"
    by_flag = await shell("run", file, "--url", address)
    by_variable = await shell("run", file, "--json", COMFYSERVE_URL=address)
    assert by_flag.code == by_variable.code == Exit.UNREACHABLE
    assert f"No comfyserve answers at {address}" in by_flag.err
    assert by_variable.document["error"]["code"] == "unreachable"


async def test_an_address_that_is_none(shell: Shell) -> None:
    done = await shell("key", "list", "--url", "http://a:b:c")
    assert done.code == Exit.UNREACHABLE
    assert "http://a:b:c" in done.err and "Traceback" not in done.err


async def test_files_that_are_none(shell: Shell) -> None:
    missing = await shell("run", "missing.json")
    assert (missing.code, missing.err) == (
        Exit.USAGE,
        "Error: missing.json cannot be read: No such file or directory.\n",
    )
    bad = await shell("deploy", shell.file("bad.json", "{bad"), "--name", "bad")
    assert bad.code == Exit.USAGE
    assert bad.err.startswith("Error: bad.json is not JSON: ")


async def test_up_refuses_what_cannot_work(shell: Shell) -> None:
    taken = f"{shell.file('taken', '')}/data"
    many, bucket, postgres, folder = await asyncio.gather(
        shell("up", COMFYSERVE_PORT="many"),
        shell("up", COMFYSERVE_BLOBS="ftp://bucket"),
        shell("up", COMFYSERVE_DATABASE="postgresql://host/name"),
        shell("up", COMFYSERVE_DATA_DIR=taken, COMFYSERVE_PORT=free_port()),
    )
    shell.file("comfyserve.toml", "port = ")
    file = await shell("up")
    ends = (many, bucket, postgres, folder, file)
    assert [(done.code, done.out) for done in ends] == [(code, "") for code in (2, 2, 5, 5, 2)]
    said = ("COMFYSERVE_PORT: ", "COMFYSERVE_BLOBS: ", "SQLite", "taken", "comfyserve.toml cannot be read")
    for done, words in zip(ends, said, strict=True):
        assert words in done.err and "Traceback" not in done.err


async def test_up_tells_programs_where_it_is_and_warns_of_strays(shell: Shell) -> None:
    process = await shell.start("up", "--port", "0", "--example", "none", "--json", COMFYSERVE_PROT="1")
    assert process.stdout is not None
    told = json.loads(await process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    done = await ended(process)
    assert done.code == Exit.OK
    assert told["sign_in_url"].startswith(told["url"])
    assert Path(told["key_file"]) == shell.folder / "data" / "admin.key"
    assert done.err.count("COMFYSERVE_PROT is no setting and is ignored. Did you mean COMFYSERVE_PORT?") == 1


async def test_settings_show_values_but_no_secrets(shell: Shell) -> None:
    shell.file("comfyserve.toml", 'admin_key = "hidden-word"\nmax_queued = 7\n')
    rows = {row["name"]: row for row in (await shell("settings", "--json")).document}
    assert (rows["COMFYSERVE_MAX_QUEUED"]["value"], rows["COMFYSERVE_MAX_QUEUED"]["default"]) == ("7", "20000")
    assert rows["COMFYSERVE_ADMIN_KEY"]["value"] == "(set)"
    table = (await shell("settings", COMFYSERVE_COMFY_URL="http://me:hidden-word@host:8188")).out
    assert "hidden-word" not in table and "http://host:8188 *" in table
    assert "7 * " in table


async def test_doctor_finds_what_is_wrong(shell: Shell) -> None:
    well = await shell("doctor", "--json")
    assert well.code == Exit.OK
    assert all(finding["well"] for finding in well.document)
    ill = await shell("doctor", COMFYSERVE_COMFY_HOME="/absent")
    assert ill.code == Exit.UNHEALTHY
    assert "bad  engine" in ill.out and "COMFYSERVE_COMFY_HOME" in ill.out


async def test_doctor_tries_the_bucket_out(shell: Shell, s3_bucket: Bucket) -> None:
    well = await shell("doctor", COMFYSERVE_BLOBS=s3_bucket.location, **s3_bucket.environment)
    assert well.code == Exit.OK and f"ok   files: {s3_bucket.location}" in well.out
    ill = await shell("doctor", COMFYSERVE_BLOBS=f"{s3_bucket.location}none", **s3_bucket.environment)
    assert ill.code == Exit.UNHEALTHY and "There is no bucket" in ill.out


async def test_version_and_help_load_nothing_heavy(shell: Shell) -> None:
    assert (await shell("--version")).out == "comfyserve 0.1.0\n"
    helped = await shell("run", "--help", PYTHONPROFILEIMPORTTIME="1")
    assert helped.code == Exit.OK and "--input" in helped.out
    loaded = {line.rpartition("|")[2].strip() for line in helped.err.splitlines()}
    assert "comfyserve.cli.main" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_stray_names_are_found_in_the_environment_and_the_file(tmp_path: Path) -> None:
    (tmp_path / "comfyserve.toml").write_text("port = 1\nsomething = 2\n")
    environment = {
        "COMFYSERVE_PORT": "",
        "COMFYSERVE_KEY": "",
        "COMFYSERVE_DATADIR": "",
        "COMFYSERVE_DATA": "",
        "PATH": "",
    }
    assert stray_settings(environment, tmp_path) == [
        "COMFYSERVE_DATADIR is no setting and is ignored. Did you mean COMFYSERVE_DATA_DIR?",
        "COMFYSERVE_DATA is no setting and is ignored. Did you mean COMFYSERVE_DATA_DIR?",
        "something in comfyserve.toml is no setting and is ignored. `comfyserve settings` lists them all.",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1.5", 1.5),
        ("true", True),
        ('["a"]', ["a"]),
        ("007", "007"),
        ("null", "null"),
        ("NaN", "NaN"),
        ("a cap", "a cap"),
        ('{"a": 1}', '{"a": 1}'),
        ("", ""),
    ],
)
def test_values_are_read(text: str, value: object) -> None:
    assert read_value(text) == value
