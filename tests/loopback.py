"""A server on this machine that serves files as publishers do, well or badly."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback:
    """What the server serves, how it misbehaves, and what it was asked for.

    Attributes:
        files: content by path.
        ranges: whether parts of files may be asked for.
        strict: whether If-Range is obeyed.
        etags: whether files have an ETag.
        redirect: an address to send everybody to instead of answering; None for none.
        date: the files' Last-Modified; None for none.
        lengths: whether the length is told; without it content comes in chunks.
        cuts: for the next requests of files, after how many bytes the connection is closed; None for never.
        statuses: for the next requests, the status to answer with instead of the file.
        pause: seconds to wait in the middle of a file.
        asked: path and Range header of each request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = self.strict = self.etags = self.lengths = True
        self.redirect: str | None = None
        self.date: str | None = None
        self.cuts: list[int | None] = []
        self.statuses: list[int] = []
        self.pause = 0.0
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""


@contextmanager
def serving():
    """Serve inside the block; yields the Loopback that says what."""
    state = Loopback()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            answer(self, state)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(handler, state):
    path, wanted = handler.path, handler.headers.get("Range")
    state.asked.append((path, wanted))
    status = state.statuses.pop(0) if state.statuses else 200
    if state.redirect:
        handler.send_response(302)
        handler.send_header("Location", state.redirect.encode().decode("latin-1"))
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    if status == 200 and path not in state.files:
        status = 404
    if status != 200:
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    content = state.files[path]
    etag = f'"{hash(content)}"'
    start = 0
    unchanged = not state.strict or handler.headers.get("If-Range") in (None, etag, state.date)
    if wanted and state.ranges and unchanged:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
    if start > len(content) or (start and start == len(content)):
        handler.send_response(416)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    if state.etags:
        handler.send_header("ETag", etag)
    if state.date:
        handler.send_header("Last-Modified", state.date)
    if state.lengths:
        handler.send_header("Content-Length", str(len(content) - start))
    else:
        handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    cut = state.cuts.pop(0) if state.cuts else None
    send(handler, content[start:] if cut is None else content[start:][:cut], state)
    if cut is not None:
        handler.close_connection = True
    elif not state.lengths:
        handler.wfile.write(b"0\r\n\r\n")


def send(handler, body, state):
    for position in range(0, max(1, len(body)), 1 << 15):
        piece = body[position : position + (1 << 15)]
        if state.pause and position:
            time.sleep(state.pause)
        try:
            handler.wfile.write(piece if state.lengths else b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b"")
        except OSError:
            return  # the client has gone
