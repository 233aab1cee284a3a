#!/usr/bin/env python3
"""PostgreSQL: transactions from another container, a connection for each, sums right; users and shared memory work."""
import re

from support import FACTOR, AppSuite, expect, main, wait_until

PORT = 5432
PASSWORD = "for this test only"
CLIENTS = 8
TRANSACTIONS = 150 if FACTOR <= 1 else 50  # of each client, and as many connections


class Postgres(AppSuite):
    name = "raind-pg"
    apps = ("postgres",)

    def prepare(self):
        super().prepare()
        self.server = self.start("db", "postgres", options=("-e", f"POSTGRES_PASSWORD={PASSWORD}", "-e", "POSTGRES_DB=shop"))
        self.start_client("client", "postgres", options=("-e", f"PGPASSWORD={PASSWORD}", "-e", f"PGHOST={self.server['address']}",
                                                         "-e", "PGUSER=postgres", "-e", "PGDATABASE=shop"))
        self.wait_log("db", "ready to accept connections", 60)

    def sql(self, text, container="client", check=True):
        return self.inside(container, "psql", "-X", "-A", "-t", "-c", text, check=check)

    def case_the_server_is_what_the_image_says(self):
        status = self.inside("db", "sh", "-c", "grep -E '^(Uid|Groups):' /proc/1/status; id -u postgres; getent group ssl-cert").stdout
        lines = status.splitlines()
        group = lines[3].split(":")[2]
        expect(lines[0].split()[1] == lines[2].strip(), f"not user postgres: {status}")
        # Only so can it read the key of its TLS set-up.
        expect(group in lines[1].split()[1:], f"the image's supplementary group {group} is missing: {status}")
        expect("FATAL" not in self.log("db"), f"log: {self.log('db')}")

    def case_denied_without_a_policy(self):
        expect(self.sql("SELECT 1", check=False).returncode != 0, "answered without a policy")
        self.expect_record("client", "db", PORT, "deny")

    def case_tls_and_password(self):
        self.allow("client", "db", PORT)
        expect(self.sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").stdout.strip() == "t", "not over TLS")
        wrong = self.inside("client", "env", "PGPASSWORD=wrong", "psql", "-c", "SELECT 1", check=False)
        expect(wrong.returncode != 0 and "password authentication failed" in wrong.stderr, f"a wrong password: {wrong.stderr}")
        self.expect_record("client", "db", PORT, "allow")

    def case_a_connection_for_each_transaction(self):
        self.inside("client", "pgbench", "-i", "-q", "-s", "1", seconds=60)
        # Without TLS, whose handshakes would be most of the time.
        done = self.inside("client", "env", "PGSSLMODE=disable", "pgbench", "-n", "-C", "-c", CLIENTS, "-j", "2", "-t", TRANSACTIONS, seconds=240)
        expected = CLIENTS * TRANSACTIONS
        expect(re.search(rf"processed: {expected}/{expected}", done.stdout), f"pgbench: {done.stdout} {done.stderr}")
        sums = self.sql("SELECT (SELECT sum(delta) FROM pgbench_history), (SELECT sum(abalance) FROM pgbench_accounts), "
                        "(SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches), "
                        "(SELECT count(*) FROM pgbench_history)").stdout.strip().split("|")
        expect(len(set(sums[:4])) == 1 and sums[4] == str(expected), f"balances differ: {sums}")

    def case_shared_memory_and_parallel_queries(self):
        plan = self.sql("SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; "
                        "SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; "
                        "EXPLAIN (ANALYZE, COSTS OFF) SELECT sum(abalance) FROM pgbench_accounts")
        expect(re.search(r"Workers Launched: [12]", plan.stdout), f"no parallel workers: {plan.stdout}{plan.stderr}")

    def case_a_megabyte_there_and_back(self):
        text = self.sql("CREATE TABLE blob (v text); INSERT INTO blob SELECT string_agg(md5(i::text), '') FROM generate_series(1, 32768) i; "
                        "SELECT md5(v), length(v) FROM blob").stdout.split()[-1]
        back = self.inside("client", "sh", "-c", "psql -X -A -t -c 'SELECT v FROM blob' | tr -d '\\n' | md5sum").stdout.split()[0]
        expect(text == f"{back}|1048576", f"{text} {back}")

    def case_data_survive_a_restart(self):
        self.lab.raind("container", "stop", "db", timeout=30)
        expect(self.lab.inspect("db")["exitCode"] == 0, f"exit code {self.lab.inspect('db')['exitCode']}: {self.log('db')[-800:]}")
        self.lab.raind("container", "start", "db")
        wait_until("it answers again", lambda: self.sql("SELECT 1", check=False).returncode == 0, 40, 0.3)
        count = self.sql("SELECT count(*) FROM pgbench_history").stdout.strip()
        expect(count == str(CLIENTS * TRANSACTIONS), f"transactions after a restart: {count}")


main(Postgres())
