"""Downloads from Hugging Face, as a program: `hf_child.py KIND REPO REVISION FOLDER [PATH]`.

huggingface_hub and hf-xet run here and not in the server, so that they can be killed, and so that the proxy, the token
and the hub that their environment names are theirs alone. The exit status says how it ended, and the last
line of stderr what kind of exception it was.
"""

import errno
import os
import sys

DONE, FAILED, DENIED, ABSENT, DISK, NOT_INSTALLED = 0, 1, 3, 4, 5, 6


def main(kind: str, repo: str, revision: str, folder: str, path: str = "") -> int:
    """Download a file of a repository, or all of it, into a folder."""
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        return NOT_INSTALLED
    token = os.environ.get("HF_TOKEN") or False
    try:
        if path:
            huggingface_hub.hf_hub_download(
                repo, path, repo_type=kind, revision=revision, local_dir=folder, token=token
            )
        else:
            huggingface_hub.snapshot_download(
                repo, repo_type=kind, revision=revision, local_dir=folder, token=token, max_workers=4
            )
    except (errors.GatedRepoError, errors.DisabledRepoError):
        return DENIED
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError):
        return ABSENT
    except Exception as error:
        sys.stderr.write(f"\n{type(error).__name__}\n")
        return DISK if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) else FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
