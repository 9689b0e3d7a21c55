"""An engine process for tests, standard library only: answers just enough, and misbehaves as its arguments say."""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Answers(BaseHTTPRequestHandler):
    """Ready, with an empty history and every prompt running forever."""

    prompts: list[str] = []  # noqa: RUF012  (one server per process)

    def do_GET(self) -> None:
        running = [[1, prompt_id, {}, {}, []] for prompt_id in self.prompts]
        known = {
            "/system_stats": {"system": {"argv": sys.argv}},
            "/queue": {"queue_running": running, "queue_pending": []},
        }
        if self.path.startswith("/ws"):
            self._answer(404, {})
        else:
            self._answer(200, known.get(self.path, {}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.prompts.append(body.get("prompt_id", ""))
        self._answer(200, {"prompt_id": body.get("prompt_id"), "number": 1, "node_errors": {}})

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def fork_family(file: Path) -> None:
    """A child in our group and one that runs away with a session of its own; all write down who they are."""
    for detached in (False, True):
        if os.fork() == 0:
            if detached:
                os.setsid()
            with file.open("a") as pids:
                pids.write(f"{os.getpid()}\n")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
            os._exit(0)
    with file.open("a") as pids:
        pids.write(f"{os.getpid()}\n")


def main(port: int, arguments: list[str]) -> None:
    if "--fail" in arguments:
        sys.exit(print(arguments[-1], file=sys.stderr) or 3)  # noqa: T201  (what it says is the test)
    if "--environment" in arguments:
        Path(arguments[-1]).write_text("".join(f"{name}={value}\n" for name, value in os.environ.items()))
    if "--pid" in arguments:
        with Path(arguments[arguments.index("--pid") + 1]).open("a") as pids:
            pids.write(f"{os.getpid()}\n")
    if "--fork" in arguments:
        fork_family(Path(arguments[arguments.index("--fork") + 1]))
    if "--stubborn" in arguments:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--mute" in arguments:
        print("mute", flush=True)  # noqa: T201
        time.sleep(600)
    HTTPServer(("127.0.0.1", port), Answers).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
