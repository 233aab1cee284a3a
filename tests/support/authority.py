"""A private certificate authority for registries of tests; everything is made at run time and valid nowhere else."""
import pathlib
import subprocess


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, stdin=subprocess.DEVNULL, capture_output=True)


class Authority:
    """`certificate` is its own; issue() gives (certificate, key) files for a server."""

    def __init__(self, folder, name="raind test CA"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = self.folder / "ca.crt", self.folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, names, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        base = self.folder / name
        openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={name}", "-keyout", f"{base}.key", "-out", f"{base}.csr")
        pathlib.Path(f"{base}.ext").write_text(f"subjectAltName={names}\n", encoding="ascii")
        openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", "2", "-extfile", f"{base}.ext", "-out", f"{base}.crt")
        return f"{base}.crt", f"{base}.key"

    def issue_rsa(self, name):
        """Signers of tokens have RSA keys."""
        return self.issue(name, "DNS:token.test", ("rsa:2048",))
