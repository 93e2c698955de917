"""One HTTP request, from within a Pod, a node or an external machine: run there as a program, with nothing of netlab.

python -I -S fetch.py METHOD URL SECONDS HEADERS        HEADERS as JSON; the body on standard input
"""

import base64
import http.client
import json
import sys
import time
from urllib.parse import urlsplit


def fetch(method: str, url: str, seconds: float, headers: dict[str, str], body: bytes) -> dict[str, object]:
    """The answer as JSON has it, or why there was none. Redirects are answers."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    started = time.monotonic()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)
    try:
        connection.request(method, target, body=body or None, headers={"Connection": "close", **headers})
        answer = connection.getresponse()
        found = {"status": answer.status, "headers": dict(answer.getheaders())}
        text = base64.b64encode(answer.read()).decode()
    except (OSError, http.client.HTTPException) as error:
        said = "timed out" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or repr(error)
        return {"url": url, "error": said, "body": "", "seconds": time.monotonic() - started}
    finally:
        connection.close()
    return {"url": url, **found, "body": text, "seconds": time.monotonic() - started}


if __name__ == "__main__":
    METHOD, URL, SECONDS, HEADERS = sys.argv[1:]
    print(json.dumps(fetch(METHOD, URL, float(SECONDS), json.loads(HEADERS), sys.stdin.buffer.read())))
