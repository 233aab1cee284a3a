"""A daemon for the tests of the command line: TLS 1.3 with required client certificates, answers
that the test sets, every request recorded, and exec over WebSocket (raind.streams.v1)."""

import base64
import hashlib
import http.server
import json
import os
import shutil
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from slow import limit  # noqa: E402

RAIND = os.path.join(os.environ.get("RAIND_BIN_DIR", "build/dev/bin"), "raind")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def openssl(*words, **more):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, **more)


class Authority:
    """A throw-away certificate authority in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.cert = os.path.join(folder, name + ".crt")
        self.key = os.path.join(folder, name + ".key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.key, "-out", self.cert, "-days", "30", "-subj", "/CN=" + name)

    def issue(self, name, san, dates=None):
        path = os.path.join(self.folder, name)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", path + ".key", "-out", path + ".csr", "-subj", "/CN=" + name)
        with open(path + ".ext", "w") as out:
            out.write("subjectAltName=%s\n" % san)
        if dates:
            # `openssl x509` cannot set the dates; `openssl ca` needs a small database.
            work = tempfile.mkdtemp(dir=self.folder)
            open(os.path.join(work, "index.txt"), "w").close()
            with open(os.path.join(work, "ca.cnf"), "w") as out:
                out.write("[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index.txt\nnew_certs_dir=%s\n"
                          "default_md=sha256\nrand_serial=yes\npolicy=p\n[p]\ncommonName=supplied\n"
                          % (work, work))
            openssl("ca", "-batch", "-config", os.path.join(work, "ca.cnf"), "-cert", self.cert,
                    "-keyfile", self.key, "-in", path + ".csr", "-out", path + ".crt",
                    "-extfile", path + ".ext", "-notext", "-startdate", dates[0],
                    "-enddate", dates[1])
        else:
            openssl("x509", "-req", "-in", path + ".csr", "-CA", self.cert, "-CAkey", self.key,
                    "-CAcreateserial", "-out", path + ".crt", "-days", "20",
                    "-extfile", path + ".ext")
        return path + ".crt", path + ".key"


class Pki:
    """What a daemon makes at its first start, and some certificates that must be refused."""

    def __init__(self, folder):
        self.server_ca = Authority(folder, "raind")
        self.client_ca = Authority(folder, "raindClientCA")
        san = "DNS:localhost,IP:127.0.0.1"
        self.server = self.server_ca.issue("raindServer", san)
        self.client = self.client_ca.issue("raindClient", "URI:spiffe://raind/cli/admin")

    def install(self, root, ca=None, client=None):
        certs = os.path.join(root, "etc/raind/cert")
        os.makedirs(certs, exist_ok=True)
        cert, key = client or self.client
        shutil.copy(ca or self.server_ca.cert, os.path.join(certs, "raind.crt"))
        shutil.copy(cert, os.path.join(certs, "raindClient.crt"))
        shutil.copy(key, os.path.join(certs, "raindClient.key"))
        return certs


class WebSocket:
    """The server half, enough for the tests. Checks that the client masks."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.lock = threading.Lock()

    def exact(self, size):
        data = self.reader.read(size)
        if len(data) != size:
            raise EOFError
        return data

    def receive(self):
        first, second = self.exact(2)
        assert first & 0x70 == 0 and second & 0x80, "reserved bit or no mask"
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.exact(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.exact(8))[0]
        assert size <= 32 * 1024, "message of %d bytes" % size
        mask = self.exact(4)
        data = self.exact(size)
        whole = (mask * (size // 4 + 1))[:size]
        plain = (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")
        return first & 0x0F, plain

    def frame(self, opcode, data, final=True):
        head = bytes([(0x80 if final else 0) | opcode])
        if len(data) <= 125:
            head += bytes([len(data)])
        elif len(data) <= 0xFFFF:
            head += b"\x7e" + struct.pack(">H", len(data))
        else:
            head += b"\x7f" + struct.pack(">Q", len(data))
        with self.lock:
            self.writer.write(head + data)
            self.writer.flush()

    def out(self, data, stream=1):
        for start in range(0, len(data), 32 * 1024 - 1):
            self.frame(2, bytes([stream]) + data[start:start + 32 * 1024 - 1])

    def end(self, code, signal="", **more):
        self.frame(1, json.dumps({"exit_code": code, "signal": signal, **more}).encode())
        self.close(1000, b"stream closed")

    def close(self, code, text=b""):
        self.frame(8, struct.pack(">H", code) + text)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        daemon = self.server.daemon_
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size).decode("utf-8", "surrogateescape") if size else ""
        daemon.requests.append((self.command, self.path, body))
        if self.headers.get("Upgrade") == "websocket" and daemon.streams:
            return self.upgrade(daemon.streams)
        reply = daemon.reply(self.command, self.path)
        if callable(reply):
            return reply(self)
        status, text = reply
        data = text.encode("utf-8", "surrogateescape")
        self.send_response(status)
        self.send_header("Content-Type",
                         "application/json" if text.startswith("{") else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = answer

    def upgrade(self, streams):
        key = self.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        assert self.headers["Sec-WebSocket-Protocol"] == "raind.streams.v1"
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                          "Sec-WebSocket-Protocol: raind.streams.v1\r\n\r\n" % accept).encode())
        self.wfile.flush()
        self.close_connection = True
        streams(WebSocket(self.rfile, self.wfile))


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def process_request_thread(self, request, client_address):
        try:
            request.settimeout(60)
            request = self.context.wrap_socket(request, server_side=True)
            self.finish_request(request, client_address)
            request.unwrap()
        except (OSError, EOFError, ValueError, AssertionError) as error:
            self.daemon_.faults.append(repr(error))
        finally:
            request.close()

    def handle_error(self, request, client_address):
        pass


class FakeDaemon:
    def __init__(self, pki, folder, server=None, versions=None):
        self.requests, self.faults, self.replies, self.streams = [], [], {}, None
        self.root = os.path.join(folder, "root")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = versions or (
            ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
        context.load_cert_chain(*(server or pki.server))
        context.load_verify_locations(pki.client_ca.cert)
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_, self.server.context = self, context
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        pki.install(self.root)
        os.makedirs(os.path.join(self.root, "run/raind"), exist_ok=True)
        with open(os.path.join(self.root, "run/raind/endpoints.json"), "w") as out:
            json.dump({"management": "127.0.0.1:%d" % self.port, "hook": "127.0.0.1:1"}, out)

    def reset(self):
        self.requests.clear()
        self.faults.clear()
        self.replies.clear()
        self.streams = None

    def set(self, method, path, status, body):
        self.replies.setdefault((method, path), []).append((status, body))

    def ok(self, method, path, data=None):
        answer = {"status": "success", "message": "done"}
        if data is not None:
            answer["data"] = data
        self.set(method, path, 200, json.dumps(answer) + "\n")

    def reply(self, method, path):
        known = self.replies.get((method, path))
        if not known:
            return 404, "404 page not found"
        return known.pop(0) if len(known) > 1 else known[0]

    def run(self, *words, **more):
        return run_raind("--root", self.root, *words, **more)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def clean_environment(**more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAIND_")}
    environment["TZ"] = "UTC"
    environment.update(more)
    return environment


def run_raind(*words, stdin=b"", environment=None, timeout=60):
    return subprocess.run([RAIND, *words], input=stdin, capture_output=True, timeout=limit(timeout),
                          env=clean_environment(**(environment or {})))
