"""Videos that packs make themselves."""

from comfyserve.embedded.media.video import VideoFromComponents, VideoFromFile

__all__ = ["VideoFromComponents", "VideoFromFile"]
