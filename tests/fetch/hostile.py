"""Addresses and URLs that attackers try, for every guard of the program: ours and that of the node package."""

INSIDE = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.1.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "fc00::1",
    "fd12::1", "fe80::1", "fe80::1%eth0", "ff02::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "64:ff9b:1::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
]

REFUSED_URLS = [
    "", "host/path", "ftp://host/", "file:///etc/passwd", "gopher://host/", "http://", "http:///x", "http://host:0/",
    "http://host:99999/", "http://[::1", "http://127.1/", "http://2130706433/", "http://0177.0.0.1/",
    "http://127.0.0.1./", "http://127.0.0.1/", "http://１２７.0.0.1/", "http://[::ffff:127.0.0.1]/",
    "http://[fe80::1%25eth0]/", "http://user:pass@127.0.0.1/", "http://host/" + "x" * 9000,
]  # fmt: skip
ALLOWED_URLS = ["https://example.com/a?b=c", "http://example.com:8080/", "HTTP://EXAMPLE.COM", "http://1.1.1.1/"]

REDIRECTS_INSIDE = [
    "http://10.0.0.1/",
    "http://169.254.169.254/latest",
    "file:///etc/passwd",
    "http://[::ffff:192.168.0.1]/",
]
"""Where a redirect must not lead, even when the host that redirects may be called."""

NAMES_OF_LOOPBACK = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "0x7f000001"]
"""Hosts that lead to this machine."""
