#!/usr/bin/env python3
"""The story of the README on real software: WordPress, its database, one policy between them."""
import os
import struct
import time
import zlib

from support import AppSuite, expect, limit, main, wait_until
from site_client import Site  # after support, which knows where lab is

PORT = 3306
HOST, PUBLISHED = "192.0.2.1", 10080
PASSWORD = "for-this-test-only"
TITLE = "Testing by writing"
BODY = "A post that is written and read back: 1 < 2 & \u201cquotes\u201d"


def png(width, height):
    """A picture that does not compress, so of about three bytes a point."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + os.urandom(3 * width) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class WordPress(AppSuite):
    name = "raind-wp"
    apps = ("mariadb", "wordpress")

    def prepare(self):
        super().prepare()
        self.database = self.start("wp_database", "mariadb", options=(
            "-e", f"MARIADB_ROOT_PASSWORD={PASSWORD}root", "-e", "MARIADB_DATABASE=wordpress",
            "-e", "MARIADB_USER=wordpress", "-e", f"MARIADB_PASSWORD={PASSWORD}"))
        self.wordpress = self.start("wordpress", "wordpress", options=(
            "-p", f"{PUBLISHED}:80", "-e", f"WORDPRESS_DB_HOST={self.database['address']}", "-e", f"WORDPRESS_DB_PASSWORD={PASSWORD}"))
        self.lab.make_outside()
        self.site = self.new_visit()
        self.wait_log("wp_database", "ready for connections", 60)
        self.wait_log("wordpress", "resuming normal operations", 40)

    def new_visit(self, namespace=None, address=HOST):
        """By the published port, from a host outside unless another namespace is named."""
        return Site(f"/run/netns/{namespace or self.lab.outside}", (address, PUBLISHED), limit(45))

    def case_the_port_is_shown(self):
        shown = self.lab.raind("container", "ls").stdout
        expect(f"{PUBLISHED}->80/tcp" in shown, f"container ls: {shown}")

    def case_database_error_without_the_policy(self):
        began = time.monotonic()
        for path, title in (("/", "Database Error"), ("/wp-admin/install.php", "WordPress &rsaquo; Error")):
            answer = self.site.get(path)
            expect(answer.status == 500 and title in answer.text and "Error establishing a database connection" in answer.text,
                   f"{path}: {answer.status} {answer.text[:300]}")
        expect(time.monotonic() - began < limit(10), "the denial was silent: PHP waited for its limit")
        self.expect_record("wordpress", "wp_database", PORT, "deny")

    def case_installation_page_with_the_policy(self):
        self.allow("wordpress", "wp_database", PORT)
        answer = self.site.get("/")
        expect(answer.status == 302 and answer.location.endswith("/wp-admin/install.php"), f"/: {answer.status} {answer.location}")
        answer = self.site.get("/wp-admin/install.php")
        expect(answer.status == 200 and "WordPress &rsaquo; Installation" in answer.text, f"{answer.status} {answer.text[:300]}")
        self.expect_record("wordpress", "wp_database", PORT, "allow")

    def case_installation(self):
        answer = self.site.post("/wp-admin/install.php?step=2", {
            "weblog_title": "Raind story", "user_name": "author", "admin_password": PASSWORD, "admin_password2": PASSWORD,
            "pw_weak": "1", "admin_email": "author@example.test", "blog_public": "0", "language": ""})
        expect(answer.status == 200 and "Success" in answer.text, f"{answer.status} {answer.text[:500]}")
        answer = self.site.get("/")
        expect(answer.status == 200 and "Raind story" in answer.text, f"front page: {answer.status} {answer.text[:300]}")

    def case_a_post_is_written_and_read_back(self):
        self.site.log_in("author", PASSWORD)
        post = self.site.write_post(TITLE, BODY)
        reader = self.new_visit()
        answer = reader.get(post["link"])
        expect(answer.status == 200 and TITLE in answer.text and "written and read back" in answer.text,
               f"{post['link']}: {answer.status} {answer.text[:300]}")
        stored = self.site.read_post(post["id"])
        expect(stored == BODY, f"the post's text: {stored!r}")
        expect(TITLE in reader.get("/").text, "the front page does not name the post")
        local = self.new_visit(self.lab.netns, "127.0.0.1")
        expect(TITLE in local.get("/").text, "the published port does not answer the host itself")

    def case_an_upload_arrives_whole(self):
        picture = png(300, 300)
        address = self.site.upload("noise.png", picture)
        expect(self.new_visit().get(address).body == picture, f"{address}: the file differs")

    def case_cut_and_mended(self):
        self.remove_policies(destination="wp_database")
        answer = self.site.get("/")
        expect(answer.status == 500 and "Error establishing a database connection" in answer.text, f"denied again: {answer.status}")
        self.allow("wordpress", "wp_database", PORT)
        expect(TITLE in self.site.get("/").text, "the post after the policy came back")

    def case_all_is_there_after_a_restart_of_both(self):
        for name in ("wordpress", "wp_database"):
            self.lab.raind("container", "stop", name, timeout=60)
            expect(self.lab.inspect(name)["exitCode"] == 0, f"{name}: exit code {self.lab.inspect(name)['exitCode']}")
        for name in ("wp_database", "wordpress"):
            self.lab.raind("container", "start", name, timeout=30)

        self.site = self.new_visit()

        def answers():
            try:
                return TITLE in self.site.get("/").text
            except OSError:
                return False
        wait_until("the post is there again", answers, 40, 0.5)


main(WordPress())
