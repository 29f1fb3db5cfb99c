"""The proxy of the environment, looked up by ourselves.

aiohttp's trust_env would also read ~/.netrc, and send the name and password that stand there to
any host that is asked without a token, or stumble over them where there is one.
"""

from __future__ import annotations

import urllib.request
from typing import Final

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def proxy_for(host: str) -> str | None:
    """The proxy that the environment names for https to `host`; never one for loopback."""
    if host in LOOPBACK or urllib.request.proxy_bypass(host):
        return None
    proxy = urllib.request.getproxies().get("https")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"
