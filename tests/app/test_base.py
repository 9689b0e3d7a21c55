"""The data directory is its owner's alone, whoever makes it."""

from pathlib import Path
from stat import S_IMODE

from structlog.testing import capture_logs

from comfyserve.app.base import lay_base, open_storage
from comfyserve.app.workers import install_engine
from comfyserve.settings import read_settings


def mode(path: Path) -> int:
    return S_IMODE(path.stat().st_mode)


async def test_an_installation_makes_it_for_its_owner_alone(tmp_path: Path) -> None:
    settings = read_settings(data_dir=tmp_path / "data", comfy_source=str(tmp_path / "nowhere"), comfy_cli="nothing")
    answer = await install_engine(settings, folder=None, on_line=lambda line: None, version="none at all")
    assert answer["error"]["code"] == "invalid_input"
    assert mode(tmp_path / "data") == 0o700


async def test_a_look_at_the_storage_makes_it_for_its_owner_alone(tmp_path: Path) -> None:
    await (await open_storage(read_settings(data_dir=tmp_path / "data"))).close()
    assert mode(tmp_path / "data") == 0o700


async def test_one_that_is_open_to_others_is_told(tmp_path: Path) -> None:
    for name, told in (("open", ["data_dir.open_to_others"]), ("shut", [])):
        folder = tmp_path / name
        folder.mkdir()
        folder.chmod(0o755 if told else 0o700)
        with capture_logs() as logs:
            base = await lay_base(read_settings(data_dir=folder), folder, ())
        await base.db.close()
        await base.blobs.close()
        assert [line["event"] for line in logs] == told
