"""What a ComfyUI needs besides itself: system packages, Python packages, custom nodes and models, from a manifest."""

from comfyserve.provision.manifest import Manifest, read_manifest
from comfyserve.provision.programs import ProvisionFailed
from comfyserve.provision.provision import Provision, provision

__all__ = ["Manifest", "Provision", "ProvisionFailed", "provision", "read_manifest"]
