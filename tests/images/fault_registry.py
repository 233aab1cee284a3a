"""A registry that misbehaves as it is told: what no real one does on request.

It serves the images of one OCI layout, over HTTP or TLS. `rules` maps the kind of a request
("manifest", "blob", "token") to a function that may answer in its own way by returning True.
"""
import http.server
import json
import re
import ssl
import threading
import urllib.parse

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def blob_bytes(self, digest):
        path = self.server.registry.layout.directory / "blobs/sha256" / digest.removeprefix("sha256:")
        return path.read_bytes()

    def serve(self, kind, name):
        registry = self.server.registry
        if kind == "manifest":
            digest = name if name.startswith("sha256:") else registry.tags[name]
            self.answer(200, self.blob_bytes(digest), [("Content-Type", MANIFEST)])
        elif kind == "blob":
            self.answer(200, self.blob_bytes(name))
        else:
            self.answer(200, json.dumps({"token": "t0ken"}).encode())

    def do_GET(self):
        registry = self.server.registry
        url = urllib.parse.urlsplit(self.path)
        parts = re.fullmatch(r"/v2/.+/(manifests|blobs)/(.+)", url.path)
        if url.path == "/token":
            kind, name = "token", url.query
        elif parts:
            kind, name = parts[1].removesuffix("s"), parts[2]
        else:
            self.answer(200, b"{}")
            return
        with registry.lock:
            registry.requests.append((kind, name, self.headers.get("Authorization")))
        try:
            rule = registry.rules.get(kind)
            if not (rule and rule(self, name)):
                self.serve(kind, name)
        except (FileNotFoundError, KeyError):
            self.answer(404)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class FaultRegistry:
    def __init__(self, layout, certificate=None):
        self.layout = layout
        self.tags = {}
        self.rules = {}
        self.requests = []
        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.server.registry = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def count(self, kind):
        return sum(1 for request in self.requests if request[0] == kind)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
