"""Files over HTTP and HTTPS: `HttpSource` implements Source.

`source` takes orders; `download` is one of them, with its tries; `ask` opens exchanges and follows redirects over a
`wire` to a checked address; `readers` fill a `part` of a file with `body` after body while `check` hashes it. `answer`
reads headers, `identity` knows who may see a credential.
"""

from comfyserve.fetch.http.limits import HttpLimits
from comfyserve.fetch.http.source import HttpSource

__all__ = ["HttpLimits", "HttpSource"]
