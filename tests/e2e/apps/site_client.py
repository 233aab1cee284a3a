"""A visitor of a WordPress site: pages, cookies, forms, the REST interface with its nonce.

Requests are made inside a network namespace: a socket opened there stays there, whoever uses it.
"""
import ctypes
import http.client
import http.cookies
import json
import os
import re
import socket
import urllib.parse

from lab import Failure

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def connect_in(namespace, address, limit):
    """A TCP connection made in another network namespace; the caller's own comes back."""
    own, other = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(namespace, os.O_RDONLY)
    try:
        if LIBC.setns(other, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        try:
            return socket.create_connection(address, timeout=limit)
        finally:
            if LIBC.setns(own, CLONE_NEWNET) != 0:
                os._exit(70)
    finally:
        os.close(own)
        os.close(other)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.location = response.getheader("Location") or ""
        self.cookies = response.headers.get_all("Set-Cookie") or []
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)


class Site:
    def __init__(self, namespace, address, limit, host="wordpress.test"):
        self.namespace, self.address, self.limit, self.host = namespace, address, limit, host
        self.cookies = {}
        self.nonce = None

    def request(self, method, path, body=None, headers=None):
        """Follows nothing; keeps cookies. A path may be a whole address of the site."""
        parts = urllib.parse.urlsplit(path)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPConnection(self.host)
        connection.sock = connect_in(self.namespace, self.address, self.limit)
        try:
            words = {"Host": self.host, "Connection": "close", **(headers or {})}
            if self.cookies:
                words["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
            connection.request(method, path or "/", body, words)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        for line in answer.cookies:
            for key, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[key] = morsel.value
        return answer

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, fields):
        return self.request("POST", path, urllib.parse.urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})

    def log_in(self, user, password):
        self.get("/wp-login.php")  # sets the cookie that the form is checked by
        answer = self.post("/wp-login.php", {"log": user, "pwd": password, "wp-submit": "Log In", "testcookie": "1",
                                             "redirect_to": "/wp-admin/"})
        if answer.status != 302 or not any(key.startswith("wordpress_logged_in") for key in self.cookies):
            raise Failure(f"log in: {answer.status} {answer.text[:500]}")
        page = self.get("/wp-admin/post-new.php")
        found = re.search(r'createNonceMiddleware\(\s*"(\w+)"', page.text)
        if page.status != 200 or not found:
            raise Failure(f"page for a new post: {page.status}, nonce {found}")
        self.nonce = found.group(1)

    def rest(self, method, route, body, headers):
        answer = self.request(method, f"/index.php?rest_route={route}", body, {"X-WP-Nonce": self.nonce, **headers})
        if answer.status not in (200, 201):
            raise Failure(f"{method} {route}: {answer.status} {answer.text[:500]}")
        return answer.json()

    def write_post(self, title, content):
        """The post as the site describes it: its id, its address."""
        return self.rest("POST", "/wp/v2/posts", json.dumps({"title": title, "content": content, "status": "publish"}),
                         {"Content-Type": "application/json"})

    def read_post(self, number):
        """The text as it is stored."""
        return self.rest("GET", f"/wp/v2/posts/{number}&context=edit", None, {})["content"]["raw"]

    def upload(self, name, data):
        made = self.rest("POST", "/wp/v2/media", data, {"Content-Type": "image/png",
                                                        "Content-Disposition": f'attachment; filename="{name}"'})
        return made["source_url"]
