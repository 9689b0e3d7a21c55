"""Puts one file into a Hugging Face repository, as a program: `hf_upload.py KIND REPO REVISION PATH FILE`.

huggingface_hub and hf-xet run here and not in the server, so that they can be killed, and so that the proxy, the token
and the hub that their environment names are theirs alone. Imports nothing of ours, so that it starts quickly. The exit
status says how it ended.
"""

import os
import sys

DONE, FAILED, DENIED, ABSENT, BUSY, REFUSED, NOT_INSTALLED = 0, 1, 3, 4, 5, 6, 7
STATUSES = {401: DENIED, 403: DENIED, 404: ABSENT, 408: BUSY, 429: BUSY}


def main(kind: str, repo: str, revision: str, path: str, file: str) -> int:
    """Upload the file as one commit, which shows all of it or nothing."""
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        return NOT_INSTALLED
    try:
        huggingface_hub.upload_file(
            path_or_fileobj=file,
            path_in_repo=path,
            repo_id=repo,
            repo_type=kind,
            revision=revision,
            token=os.environ.get("HF_TOKEN") or False,
            commit_message=f"Add {path.rpartition('/')[2]}",
        )
    except (errors.HFValidationError, ValueError):
        return REFUSED
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        return STATUSES.get(status, BUSY if status >= 500 else REFUSED)
    except Exception:
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
