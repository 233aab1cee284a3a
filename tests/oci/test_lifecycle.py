"""create, start, state, kill, delete, run, exec, list: the contract of the command line."""
import json
import os
import signal
import subprocess
import time

import harness
from harness import DROPLET, read


class Lifecycle(harness.Case):
    def test_whole_life(self):
        self.config(["/bin/sh", "-c", "echo hello; exec sleep 1000"])
        self.assertEqual(0, self.create())
        state = self.state()
        self.assertEqual("created", state["status"])
        self.assertEqual(self.bundle, state["bundle"])
        self.assertTrue(os.path.exists("/proc/%d" % state["pid"]))
        self.assertTrue(os.path.exists(self.bundle + "/config_hash.json"))
        self.ok("start", self.id)
        self.assertFalse(os.path.exists(self.bundle + "/config_hash.json"))
        self.assertEqual("running", self.state()["status"])
        self.fails("start", self.id,
                   text="container: %s is not created. currnet status: running" % self.id)
        self.fails("delete", self.id,
                   text="container: %s is not stopped. current status: running" % self.id)
        self.wait_for(lambda: self.output()[0] == "hello\n", "output")
        self.ok("kill", self.id, "KILL")
        self.wait_for(lambda: self.state()["status"] == "stopped", "stopped")
        self.assertNotIn("pid", self.state())
        done = self.fails("kill", self.id, text="container not running")
        self.assertIn("container: %s not running." % self.id, done.stderr)
        self.ok("delete", self.id)
        self.fails("state", self.id, text="does not exist")
        self.fails("delete", self.id, text="does not exist")
        self.assertEqual("", self.ok("delete", "--force", self.id).stderr)

    def test_exit_codes(self):
        self.run_inside("exit 7", expect=7)
        self.run_inside("exit 0", expect=0)

    def test_exit_code_of_a_signal(self):
        self.config(["/bin/sleep", "1000"])
        process = subprocess.Popen([DROPLET, "--root", self.root, "--audit-log=", "run", "--keep", "--bundle",
                                    self.bundle, self.id], stdin=subprocess.DEVNULL)
        self.wait_for(lambda: '"running"' in self.droplet("state", self.id).stdout, "running")
        self.ok("kill", self.id, "SIGKILL")
        self.assertEqual(137, process.wait(20))
        self.assertEqual("stopped", self.state()["status"])

    def test_signals_are_forwarded(self):
        self.config(["/bin/sh", "-c", "trap 'echo got; exit 5' TERM; echo up; "
                     "while :; do sleep 0.05; done"])
        process = subprocess.Popen([DROPLET, "--root", self.root, "--audit-log=", "run", "--bundle", self.bundle,
                                    self.id], stdout=subprocess.PIPE, text=True)
        self.assertEqual("up\n", process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        self.assertEqual("got\n", process.stdout.readline())
        self.assertEqual(5, process.wait(20))
        process.stdout.close()

    def test_second_container_of_one_id(self):
        self.config(["/bin/sleep", "1000"])
        self.assertEqual(0, self.create())
        before = self.state()
        self.fails("create", "--bundle", self.bundle, self.id, text="already exists")
        self.assertEqual(before, self.state())

    def test_ids(self):
        self.config(["/bin/true"])
        for bad in ("", ".", "..", "a/b", "a b", "a\nb", ".hidden", "x" * 256):
            for command in ("create", "start", "state", "kill", "delete"):
                done = self.droplet(command, "--", bad)
                self.assertNotEqual(0, done.returncode, (command, bad))
            self.assertNotEqual(0, self.droplet("delete", "--force", bad).returncode, bad)
            self.assertEqual(255, self.droplet("exec", bad, "true").returncode)
        self.assertNotEqual(0, self.droplet("state", "-x").returncode)
        self.fails("state", "a", "b", text="exactly one container id")

    def test_program_errors_are_found_at_create(self):
        cases = [(["/no/such"], "/no/such", "no such file or directory"),
                 (["nothing"], "nothing", "executable file not found in $PATH"),
                 (["/bin/not-executable"], "/bin/not-executable", "permission denied"),
                 (["/etc"], "/etc", "permission denied")]
        for args, name, text in cases:
            self.config(args)
            done = self.fails("create", "--bundle", self.bundle, self.id, text=text)
            self.assertIn(name, done.stderr)
            self.assert_nothing_left()
        self.assertIn("nothing: not found in PATH", self.droplet(
            "create", "--bundle", self.bundle, self.id).stderr if self.config(["nothing"]) else "")

    def test_wrong_format_is_reported_by_start(self):
        self.config(["/bin/wrong-format"])
        self.assertEqual(0, self.create())
        self.fails("start", self.id, text="exec format error")
        self.assert_nothing_left()

    def test_changed_configuration_refuses_to_start(self):
        self.config(["/bin/true"])
        self.assertEqual(0, self.create())
        self.config(["/bin/false"])
        self.fails("start", self.id, text="config.json hash validation failed: expect=")
        self.assertEqual("created", self.state()["status"])

    def test_killed_before_start_is_stopped(self):
        self.config(["/bin/true"])
        self.assertEqual(0, self.create())
        os.kill(self.state()["pid"], signal.SIGKILL)
        self.wait_for(lambda: self.state()["status"] == "stopped", "stopped")
        self.fails("start", self.id, text="currnet status: stopped")
        self.ok("delete", self.id)

    def test_pid_file_list_and_detached_run(self):
        self.config(["/bin/sleep", "1000"])
        with open(os.devnull, "w") as null:
            done = subprocess.run([DROPLET, "--root", self.root, "--audit-log=", "run", "--detach", "--bundle",
                                   self.bundle, "--pid-file", self.work + "/pid", self.id],
                                  stdin=subprocess.DEVNULL, stdout=null,
                                  stderr=null, timeout=60)
        self.assertEqual(0, done.returncode)
        pid = int(read(self.work + "/pid"))
        self.assertEqual(pid, self.state()["pid"])
        rows = json.loads(self.ok("list", "--format", "json").stdout)
        self.assertEqual([(self.id, pid, "running")],
                         [(r["id"], r["pid"], r["status"]) for r in rows])
        self.assertEqual(self.id + "\n", self.ok("list", "--quiet").stdout)
        self.assertTrue(self.ok("list").stdout.startswith("ID              STATUS"))
        self.ok("delete", "--force", self.id)
        self.assertEqual("[]\n", self.ok("list", "-f", "json").stdout)

    def test_list_takes_no_word_and_no_command_an_empty_root(self):
        self.fails("list", "extra", text="unexpected word \"extra\"")
        for words in (["--root", "", "list"], ["--root=", "list", "--quiet"], ["--root", "", "state", "x"],
                      ["shim", "--root=", "--log-path", self.work + "/log", "x"]):
            done = subprocess.run([DROPLET, "--audit-log=", *words], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual((1, ""), (done.returncode, done.stdout), words)
            self.assertIn("--root is empty", done.stderr)

    def test_reused_pid_is_not_hit(self):
        self.config(["/bin/sleep", "1000"])
        self.assertEqual(0, self.create())
        path = self.root + "/" + self.id + "/state.json"
        state = json.loads(read(path))
        bystander = subprocess.Popen(["/bin/sleep", "1000"])
        try:
            state["init"]["pid"] = bystander.pid
            real = self.state()["pid"]
            self.write(path, json.dumps(state))
            self.assertEqual("stopped", self.state()["status"])
            self.fails("kill", self.id, "KILL", text="container not running")
            self.ok("delete", "--force", self.id)
            self.assertIsNone(bystander.poll())
            self.assertFalse(os.path.exists("/proc/%d" % real) and self.processes_inside())
        finally:
            bystander.kill()
            bystander.wait()

    def test_state_of_another_boot_is_stopped(self):
        self.config(["/bin/sleep", "1000"])
        self.assertEqual(0, self.create())
        path = self.root + "/" + self.id + "/state.json"
        state = json.loads(read(path))
        real = state["bootId"]
        state["bootId"] = "00000000-0000-0000-0000-000000000000"
        self.write(path, json.dumps(state))
        self.assertEqual("stopped", self.state()["status"])
        state["bootId"] = real
        self.write(path, json.dumps(state))

    def test_later_commands_and_options_are_refused_by_name(self):
        self.config(["/bin/true"])
        self.fails("pause", "x", text='command "pause" is not supported yet')
        self.fails("frob", "x", text='unknown command "frob"')
        self.fails("create", "--console-socket", "/x", self.id,
                   text="--console-socket is not supported yet")
        self.fails("create", "--wrong", self.id, text="unknown option --wrong")
        self.config(["/bin/true"], lambda c: c["process"].update(terminal=True))
        self.fails("create", "--bundle", self.bundle, self.id, text="process.terminal")

    def test_error_goes_to_the_log_as_well(self):
        log = self.work + "/log"
        subprocess.run([DROPLET, "--root", self.root, "--audit-log=", "--log", log, "--log-format=json", "state",
                        "nobody"], capture_output=True, timeout=60)
        last = json.loads(read(log).splitlines()[-1])
        self.assertEqual("error", last["level"])
        self.assertIn("does not exist", last["msg"])

    def test_version_and_help(self):
        self.assertTrue(self.ok("--version").stdout.startswith("droplet version "))
        self.assertIn("create", self.ok("--help").stdout)
        self.assertIn("--bundle", self.ok("create", "--help").stdout)


class Exec(harness.Case):
    def start(self, change=None):
        self.config(["/bin/sleep", "1000"], change)
        self.assertEqual(0, self.create())
        self.ok("start", self.id)

    def test_exec_has_the_same_confinement(self):
        self.start()
        pid = self.state()["pid"]
        script = "cat /proc/self/status /proc/self/cgroup; readlink /proc/self/ns/net; id -u"
        inside = self.ok("exec", self.id, "/bin/sh", "-c", script).stdout
        main = dict(l.split(":\t", 1) for l in read("/proc/%d/status" % pid).splitlines()
                    if ":\t" in l)
        fields = dict(l.split(":\t", 1) for l in inside.splitlines() if ":\t" in l)
        for key in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh", "NoNewPrivs", "Seccomp",
                    "Seccomp_filters"):
            self.assertEqual(main[key], fields[key], key)
        self.assertEqual("1", fields["NoNewPrivs"])
        self.assertEqual("2", fields["Seccomp"])
        self.assertIn(os.readlink("/proc/%d/ns/net" % pid), inside)
        self.assertIn("0::/\n", inside)

    def test_exec_is_in_the_cgroup(self):
        if not harness.cgroup2():
            self.skipTest("no cgroup v2 hierarchy")
        self.start()
        # Streams of its own: the pipes of the test would stay open with the process.
        done = subprocess.run([DROPLET, "--root", self.root, "--audit-log=", "exec", "--detach", self.id,
                               "/bin/sleep", "1000"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        self.assertEqual(0, done.returncode)
        members = read(harness.cgroup2() + self.cgroup + "/cgroup.procs").split()
        self.assertEqual(2, len(members))
        self.ok("kill", "--all", self.id, "KILL")
        self.wait_for(lambda: not self.processes_inside(), "all processes gone")

    def test_exec_options_and_status(self):
        self.start()
        self.assertEqual(9, self.droplet("exec", self.id, "/bin/sh", "-c", "exit 9").returncode)
        done = self.ok("exec", "--cwd", "/etc", "--env", "A=b", "--user", "1000:1000", self.id,
                       "/bin/sh", "-c", "pwd; echo $A $HOME; id -u; id -g")
        self.assertEqual("/etc\nb /home/app\n1000\n1000\n", done.stdout)
        with open(self.work + "/process.json", "w") as out:
            json.dump({"args": ["cat"], "cwd": "/", "env": ["PATH=/bin"],
                       "user": {"uid": 0, "gid": 0}}, out)
        with open(self.work + "/input", "w") as out:
            out.write("through\n")
        with open(self.work + "/input") as stdin:
            done = self.ok("exec", "--process", self.work + "/process.json", self.id, stdin=stdin)
        self.assertEqual("through\n", done.stdout)
        self.fails("exec", self.id, "nothing", text="executable file not found in $PATH",
                   status=255)
        self.fails("exec", "nobody", "true", text="does not exist", status=255)

    def test_exec_of_a_stopped_container(self):
        self.start()
        self.ok("kill", self.id, "KILL")
        self.wait_for(lambda: self.state()["status"] == "stopped", "stopped")
        self.fails("exec", self.id, "true", text="container: %s not running." % self.id,
                   status=255)

    def test_nothing_of_the_runtime_is_open_inside(self):
        self.start()
        held = os.open("/etc/passwd", os.O_RDONLY)
        os.set_inheritable(held, True)
        try:
            done = subprocess.run([DROPLET, "--root", self.root, "--audit-log=", "exec", self.id, "/bin/sh", "-c",
                                   "ls /proc/self/fd"], capture_output=True, text=True,
                                  close_fds=False, timeout=60)
        finally:
            os.close(held)
        # ls itself has the folder open as 3.
        self.assertEqual("0\n1\n2\n3\n", done.stdout)
        pid = self.state()["pid"]
        self.assertEqual(["0", "1", "2"], sorted(os.listdir("/proc/%d/fd" % pid)))


if __name__ == "__main__":
    harness.main()
