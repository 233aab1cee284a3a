"""A token server for docker-registry: short-lived signed tokens for one user, and for anonymous pulls of library/."""
import base64
import http.server
import json
import pathlib
import secrets
import ssl
import subprocess
import threading
import time
import urllib.parse

# docker-registry accepts a token for this long after its end.
LEEWAY = 60


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        owner = self.server.owner
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        given = self.headers.get("Authorization")
        owner.requests.append((self.path, given))
        if given is None:
            user = ""
        elif given == "Basic " + base64.b64encode(f"{owner.user}:{owner.password}".encode()).decode():
            user = owner.user
        else:
            self.answer(401, {"details": "wrong user name or password"})
            return
        scopes = query.get("scope", [])
        access = [entry for scope in scopes if (entry := owner.permitted(user, scope))]
        self.answer(200, {"token": owner.sign(user, access), "expires_in": owner.seconds})


class TokenServer:
    """`requests` holds (path, Authorization) of all requests."""
    service = "raind-test"
    issuer = "raind-test-issuer"

    def __init__(self, authority, names, user, password, seconds=60):
        self.user, self.password, self.seconds = user, password, seconds
        self.requests = []
        self.signer, self.signer_key = authority.issue_rsa("token-signer")
        certificate, key = authority.issue("token-server", names)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.server.owner = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.realm = f"https://127.0.0.1:{self.server.server_address[1]}/token"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def permitted(self, user, scope):
        kind, name, actions = scope.split(":")
        if user:
            return {"type": kind, "name": name, "actions": actions.split(",")}
        if name.startswith("library/") and "pull" in actions.split(","):
            return {"type": kind, "name": name, "actions": ["pull"]}
        return None

    def sign(self, user, access):
        lines = pathlib.Path(self.signer).read_text(encoding="ascii").splitlines()
        certificate = "".join(line for line in lines if "CERTIFICATE" not in line)
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        claims = {"iss": self.issuer, "sub": user, "aud": self.service, "access": access, "jti": secrets.token_hex(8),
                  "iat": now - 2 * LEEWAY, "nbf": now - 2 * LEEWAY, "exp": now + self.seconds - LEEWAY}
        text = encode(json.dumps(header).encode()) + "." + encode(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.signer_key], input=text.encode(),
                                   stdout=subprocess.PIPE, check=True).stdout
        return text + "." + encode(signature)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
