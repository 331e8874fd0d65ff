"""The program of a private Prefect server's process; it imports nothing of nst, so that nothing can hide it.

It is started as a file with Python's `-P`, so that a `tasks.py` or a `prefect.py` in the working folder is not found.
The server holds the reading end of a pipe as its standard input and stops when the writing end is closed, which the
system does however the owner ends. Requests whose Host header names another host are refused: a web page that has a
name of its own pointed to 127.0.0.1 would otherwise reach the server as the browser's user.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time

STOP_GRACE_S = 10
HOST = "127.0.0.1"


def follow_owner() -> None:
    """Stop this process when the pipe is closed."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_GRACE_S)
    os._exit(1)


def serve(port: int) -> None:
    """Run the server until it is stopped."""
    gc.disable()  # nothing of what is imported is ever freed, and looking for it takes a seventh of the start
    import uvicorn
    from prefect.server.api.server import create_app
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    app = TrustedHostMiddleware(create_app(final=True), allowed_hosts=[HOST, "localhost"])
    gc.freeze()
    gc.enable()
    uvicorn.run(app, host=HOST, port=port, log_level="warning")


if __name__ == "__main__":
    threading.Thread(target=follow_owner, daemon=True).start()
    serve(int(sys.argv[1]))
