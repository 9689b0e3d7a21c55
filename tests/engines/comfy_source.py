"""A source of ComfyUI for tests: a git repository of a program that answers as little as a ComfyUI can."""

import subprocess
from pathlib import Path

MAIN = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/system_stats": {"system": {"python": sys.executable}}}
        text = json.dumps(known.get(self.path, {})).encode()
        self.send_response(404 if self.path.startswith("/ws") else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answers).serve_forever()
"""


def comfy_source(folder: Path) -> str:
    """The address of a repository with the versions 0.3.9, 0.3.10, something newer that is no release, and a newer
    commit."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "master")
    for number, name in enumerate(["v0.3.9", "v0.3.10", "v0.4.0-rc1", ""]):
        (folder / "main.py").write_text(MAIN + f"# {number}\n")
        for empty in ("requirements.txt", "nodes.py", "comfy/keep", "comfy_extras/keep", "custom_nodes/keep"):
            (folder / empty).parent.mkdir(exist_ok=True)
            (folder / empty).touch()
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", str(number))
        if name:
            git(folder, "tag", "-a", "-m", name, name)
    return str(folder)


def git(folder: Path, *arguments: str) -> str:
    """Run git there; what it says."""
    who = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.com",
        "-c",
        "tag.gpgSign=false",
        "-c",
        "commit.gpgSign=false",
    )
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
