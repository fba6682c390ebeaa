#!/usr/bin/env python3
"""Makes the sample: certificates, key files, the archive and EXPECTED.csv.

    python3 sample-data/make.py

Every signature and every ciphertext comes from another program: OpenSSL's command line, gpgsm, or NSS's cmsutil.
This script only issues the certificates (`openssl ca`), writes MIME around what those programs return, and files the
messages. What is in the archive, and what is expected of each message, is said in letters.py.

Dates are fixed: certificates through `openssl ca -startdate/-enddate`, signing times through faketime (OpenSSL, NSS)
and --faked-system-time (gpgsm). Keys and ciphertexts are new at each run. Needs openssl 3, gpgsm, gpg, certutil,
pk12util, cmsutil and faketime.
"""

import base64
import csv
import hashlib
import os
import shutil
import subprocess
import tempfile
import textwrap
from datetime import datetime, timedelta, timezone
from email import quoprimime
from email.header import Header
from email.utils import format_datetime
from pathlib import Path
from zoneinfo import ZoneInfo

HERE = Path(__file__).resolve().parent
LOCAL = ZoneInfo("Europe/Copenhagen")

# The passphrase of h.lindqvist.p12. The README's command is not given it; whoever wants to see what it would open is.
LOCKED = "Saltholm-1931"
# The throw-away passphrase of the key rings that gpgsm works with while this script runs.
TEMPORARY = "temporary"


# --------------------------------------------------------------------------------------------------- people

class Person:
    def __init__(self, name, address, closing=None, mailer=None):
        self.name, self.address, self.mailer = name, address, mailer
        self.closing = closing or name.split()[0]


MUSEUM = "nordhafen.example"
PEOPLE = {
    # the eight whose key files were collected
    "mb": Person("Marta Brandt", f"m.brandt@{MUSEUM}"),
    "hl": Person("Henrik Lindqvist", f"h.lindqvist@{MUSEUM}"),
    "jp": Person("Jonas Petersen", f"j.petersen@{MUSEUM}", mailer="Microsoft Outlook Express 6.00.2900.2180"),
    "om": Person("Ole Madsen", f"o.madsen@{MUSEUM}", closing="O. Madsen"),
    "av": Person("Aino Virtanen", f"a.virtanen@{MUSEUM}", mailer="Mutt/1.5.23 (2014-03-12)"),
    "cr": Person("Clara Reuter", f"c.reuter@{MUSEUM}"),
    "is": Person("Ingrid Solberg", f"i.solberg@{MUSEUM}", mailer="Thunderbird 31.4.0"),
    "tw": Person("Tomás Weiß", f"t.weiss@{MUSEUM}", closing="Tomás"),
    # others
    "ek": Person("Elena Kovač", "e.kovac@kunsttransport.example", mailer="Apple Mail (2.753.1)"),
    "am": Person("Aurélien Moreau", "a.moreau@galerie-moreau.example", mailer="Apple Mail (2.1510)"),
    "pd": Person("Piet van Dam", f"p.vandam@{MUSEUM}"),
    "lq": Person("Lars Quist", "l.quist@kuestenbote.example", mailer="Evolution 3.22.6"),
    "re": Person("Ruth Ekholm", "r.ekholm@baltic-review.example", mailer="Enigmail 2.0"),
    "fk": Person("Dr. F. Keller", "keller@kunst-direkt.example", closing="F. Keller"),
    "office": Person("Museum Office", f"office@{MUSEUM}", closing="Nordhafen Museum, Office"),
    "exhibitions": Person("Exhibitions", f"exhibitions@{MUSEUM}", closing="The exhibitions team"),
    "board": Person("Board", f"board@{MUSEUM}"),
    "staff": Person("All Staff", f"staff@{MUSEUM}"),
    "list": Person("Baltic Conservators", "conservators@lists.baltic-museums.example"),
}

# name: (person, issuing CA, not before, not after, key)
CERTIFICATES = {
    "mb-2004": ("mb", "staff-1", "2004-02-01", "2013-04-01", "rsa"),
    "mb-2013": ("mb", "staff-2", "2013-02-01", "2025-02-01", "rsa"),
    "hl": ("hl", "staff-1", "2004-02-01", "2015-01-10", "rsa"),
    "jp": ("jp", "staff-1", "2004-02-01", "2012-02-01", "rsa"),
    "om": ("om", "staff-1", "2004-02-01", "2014-12-31", "rsa"),
    "ek": ("ek", "staff-1", "2006-10-01", "2014-10-01", "rsa"),
    "av": ("av", "staff-2", "2013-09-01", "2025-09-01", "p256"),
    "cr": ("cr", "staff-2", "2012-03-01", "2025-03-01", "rsa"),
    "is": ("is", "staff-2", "2012-09-01", "2024-09-01", "rsa"),
    "tw": ("tw", "staff-2", "2012-03-01", "2024-03-01", "rsa"),
    "pd": ("pd", "staff-2", "2013-01-15", "2019-01-15", "rsa"),
    "am": ("am", "arttrust", "2009-01-01", "2021-01-01", "rsa"),
    "lq": ("lq", None, "2015-01-01", "2025-01-01", "rsa"),
}
# name: (common name, organisation, issuer, not before, not after)
AUTHORITIES = {
    "root": ("Nordhafen Museum Root CA", "Nordhafen Museum", None, "2003-01-01", "2033-01-01"),
    "staff-1": ("Nordhafen Museum Staff CA 1", "Nordhafen Museum", "root", "2003-06-01", "2015-06-01"),
    "staff-2": ("Nordhafen Museum Staff CA 2", "Nordhafen Museum", "root", "2012-01-01", "2030-01-01"),
    "arttrust": ("ArtTrust Mail Root", "ArtTrust SARL", None, "2008-01-01", "2028-01-01"),
}
REVOKED = ("pd", "staff-2", "2016-05-02 08:00:00")
CRL_DATES = ("20240601000000Z", "20240901000000Z")


def run(*command, stdin=None, at=None, env=None):
    """Runs a program, at a pretended time if asked, and returns what it printed."""
    command = [str(c) for c in command]
    if at is not None:
        command = ["faketime", at.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S"), *command]
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", **(env or {})}
    done = subprocess.run(command, input=stdin, capture_output=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr.decode(errors='replace')}")
    return done.stdout


# ---------------------------------------------------------------------------------------------- certificates

class Pki:
    """The authorities and everybody's certificate, as PEM files in a temporary folder."""

    CONFIG = """
[ca]
default_ca = this
[this]
dir = {home}
database = {home}/index.txt
serial = {home}/serial
new_certs_dir = {home}
certificate = {home}.crt
private_key = {home}.key
default_md = sha256
policy = any
unique_subject = no
x509_extensions = {extensions}
[any]
organizationName = optional
commonName = supplied
emailAddress = optional
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[person]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, {agreement}
extendedKeyUsage = emailProtection
subjectAltName = email:{address}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[req]
distinguished_name = none
[none]
"""

    def __init__(self, folder):
        self.folder = folder
        for n, (name, (cn, org, issuer, start, end)) in enumerate(AUTHORITIES.items()):
            self.issue(name, f"/O={org}/CN={cn}", issuer, start, end, "rsa", 0x1001 + n, "authority")
        for n, (name, (who, issuer, start, end, key)) in enumerate(CERTIFICATES.items()):
            person = PEOPLE[who]
            org = "Nordhafen Museum" if person.address.endswith(MUSEUM) else person.address.split("@")[1]
            subject = f"/O={org}/CN={person.name}"
            if issuer == "staff-1":  # the habit of the day: the address in the subject as well
                subject += f"/emailAddress={person.address}"
            serial = 0x2A00_0000 + 0x1_3F7 * (n + 1)
            self.issue(name, subject, issuer, start, end, key, serial, "person", person.address)

    def crt(self, name):
        return self.folder / f"{name}.crt"

    def key(self, name):
        return self.folder / f"{name}.key"

    def config(self, name, extensions="person", address="nobody@nowhere.example", key="rsa"):
        file = self.folder / f"{name}.cnf"
        agreement = "keyAgreement" if key == "p256" else "keyEncipherment"
        file.write_text(self.CONFIG.format(home=self.folder / name, extensions=extensions, address=address,
                                           agreement=agreement))
        return file

    def issue(self, name, subject, issuer, start, end, key, serial, extensions, address="x@nowhere.example"):
        kind = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "p256" else ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
        run("openssl", "genpkey", "-algorithm", *kind, "-out", self.key(name))
        home = self.folder / (issuer or name)
        home.mkdir(exist_ok=True)
        (home / "index.txt").touch()
        (home / "serial").write_text(f"{serial:08X}\n")
        config = self.config(issuer or name, extensions, address, key)
        request = self.folder / f"{name}.csr"
        run("openssl", "req", "-new", "-utf8", "-config", config, "-key", self.key(name), "-subj", subject, "-out", request)
        run("openssl", "ca", "-batch", "-notext", "-preserveDN", "-utf8", "-config", config, "-in", request,
            "-startdate", start.replace("-", "") + "000000Z", "-enddate", end.replace("-", "") + "000000Z",
            "-out", self.crt(name), *([] if issuer else ["-selfsign", "-keyfile", self.key(name)]))

    def issuer(self, name):
        return CERTIFICATES[name][1]

    def revoke(self):
        name, issuer, when = REVOKED
        at = datetime.fromisoformat(when).replace(tzinfo=timezone.utc)
        run("openssl", "ca", "-config", self.config(issuer), "-revoke", self.crt(name), "-crl_reason", "cessationOfOperation", at=at)

    def crl(self, name, out):
        run("openssl", "ca", "-config", self.config(name), "-gencrl", "-crl_lastupdate", CRL_DATES[0],
            "-crl_nextupdate", CRL_DATES[1], "-out", out)


def write_key_files(pki, folder):
    """One key file a person, each as another program of its day would have left it."""

    def p12(name, file, *how, passphrase="", chain=None):
        more = ["-certfile", pki.crt(chain)] if chain else []
        run("openssl", "pkcs12", "-export", "-inkey", pki.key(name), "-in", pki.crt(name), "-name", PEOPLE[CERTIFICATES[name][0]].name,
            "-passout", f"pass:{passphrase}", *more, *how, "-out", folder / file)

    triple_des = ("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1")
    p12("mb-2004", "m.brandt-2004.p12", *triple_des)
    p12("mb-2013", "m.brandt-2013.p12", chain="staff-2")
    p12("hl", "h.lindqvist.p12", *triple_des, passphrase=LOCKED)
    p12("jp", "j.petersen.pfx", "-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-RC2-40", "-macalg", "sha1")
    p12("cr", "c.reuter.p12", chain="staff-2")
    p12("tw", "t.weiss.pfx", "-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1", chain="staff-2")
    (folder / "a.virtanen.pem").write_bytes(pki.key("av").read_bytes() + pki.crt("av").read_bytes())
    run("openssl", "rsa", "-traditional", "-in", pki.key("om"), "-out", folder / "o.madsen.key")
    for name, file in [("hl", "h.lindqvist"), ("om", "o.madsen"), ("ek", "e.kovac"), ("pd", "p.vandam")]:
        shutil.copy(pki.crt(name), folder / f"{file}.pem")
    run("openssl", "x509", "-in", pki.crt("am"), "-outform", "DER", "-out", folder / "a.moreau.der")


# ------------------------------------------------------------------------------------- the three programs

class OpenSsl:
    def __init__(self, pki, folder):
        self.pki, self.file = pki, folder / "openssl.in"

    def sign(self, data, signer, at, opaque, digest, chain, options):
        self.file.write_bytes(data)
        pss = ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"] if options.get("pss") else []
        issuer = self.pki.issuer(signer)
        certificates = {"full": ["-certfile", self.pki.crt(issuer)] if issuer else [], "signer": [], "none": ["-nocerts"]}[chain]
        return run("openssl", "cms", "-sign", "-binary", "-outform", "DER", "-in", self.file, "-md", digest,
                   "-signer", self.pki.crt(signer), "-inkey", self.pki.key(signer), *pss, *certificates,
                   *(["-nodetach"] if opaque else []), *(["-stream"] if options.get("stream") else []), at=at)

    def seal(self, data, recipients, at, cipher, options):
        self.file.write_bytes(data)
        to = []
        for name in recipients:
            to += ["-recip", self.pki.crt(name)]
            if options.get("oaep"):
                to += ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]
            if CERTIFICATES[name][4] == "p256":
                to += ["-keyopt", "ecdh_kdf_md:sha256"]
        return run("openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-in", self.file, f"-{cipher}",
                   *(["-keyid"] if options.get("ski") else []), *(["-stream"] if options.get("stream") else []), *to, at=at)

    def certificates_only(self, names, at):
        self.file.write_bytes(b"")
        files = [part for name in names for part in ("-certfile", self.pki.crt(name))]
        return run("openssl", "crl2pkcs7", "-nocrl", "-outform", "DER", *files, at=at)


class Gpgsm:
    def __init__(self, pki, folder):
        self.home = folder / "gpgsm"
        self.home.mkdir(mode=0o700)
        self.input = self.home / "in"
        self.fingerprints = {}
        root = self.fingerprint(pki.crt("root"))
        (self.home / "trustlist.txt").write_text(f"{root} S relax\n")
        (self.home / "gpgsm.conf").write_text("disable-crl-checks\ndisable-policy-checks\nno-secmem-warning\n")
        (self.home / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")
        for name in AUTHORITIES:
            self.run("--import", pki.crt(name))
        for name, (_, _, _, _, key) in CERTIFICATES.items():
            self.fingerprints[name] = self.fingerprint(pki.crt(name))
            self.run("--import", pki.crt(name))
            if key == "rsa":
                p12 = folder / f"{name}.tmp.p12"
                run("openssl", "pkcs12", "-export", "-inkey", pki.key(name), "-in", pki.crt(name), "-passout", f"pass:{TEMPORARY}",
                    "-certpbe", "NONE", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-out", p12)
                self.run("--import", p12)

    @staticmethod
    def fingerprint(crt):
        der = run("openssl", "x509", "-in", crt, "-outform", "DER")
        return hashlib.sha1(der).hexdigest().upper()

    def run(self, *arguments, at=None):
        clock = ["--faked-system-time", at.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%S")] if at else []
        return run("gpgsm", "--homedir", self.home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback",
                   "--passphrase-fd", "0", *clock, *arguments, stdin=TEMPORARY.encode() + b"\n")

    def sign(self, data, signer, at, opaque, digest, chain, options):
        self.input.write_bytes(data)
        how = {"full": "-2", "signer": "1", "none": "0"}[chain]
        return self.run("--local-user", self.fingerprints[signer], "--digest-algo", digest, "--include-certs", how,
                        "--sign" if opaque else "--detach-sign", self.input, at=at)

    def seal(self, data, recipients, at, cipher, options):
        self.input.write_bytes(data)
        to = [part for name in recipients for part in ("--recipient", self.fingerprints[name])]
        name = {"aes256": "AES256", "aes128": "AES", "des3": "3DES"}[cipher]
        return self.run("--cipher-algo", name, *to, "--encrypt", self.input, at=at)

    def close(self):
        run("gpgconf", "--homedir", self.home, "--kill", "gpg-agent")


class Nss:
    def __init__(self, pki, folder):
        self.home = folder / "nss"
        self.home.mkdir()
        self.database = f"sql:{self.home}"
        run("certutil", "-N", "-d", self.database, "--empty-password")
        for name in AUTHORITIES:
            run("certutil", "-A", "-d", self.database, "-n", name, "-t", ",C," if name == "root" else ",,", "-i", pki.crt(name))
        for name in CERTIFICATES:
            p12 = folder / f"{name}.nss.p12"
            run("openssl", "pkcs12", "-export", "-inkey", pki.key(name), "-in", pki.crt(name), "-name", name, "-passout", f"pass:{TEMPORARY}", "-out", p12)
            run("pk12util", "-i", p12, "-d", self.database, "-W", TEMPORARY, "-K", "")

    def sign(self, data, signer, at, opaque, digest, chain, options):
        (self.home / "in").write_bytes(data)
        return run("cmsutil", "-S", "-d", self.database, "-N", signer, "-G", "-P", "-H", digest.upper(),
                   *([] if opaque else ["-T"]), "-i", self.home / "in", at=at)

    def seal(self, data, recipients, at, cipher, options):
        (self.home / "in").write_bytes(data)
        return run("cmsutil", "-E", "-d", self.database, "-r", ",".join(recipients), "-i", self.home / "in", at=at)

    def export(self, name, out):
        """A key file as Thunderbird exports it."""
        run("pk12util", "-o", out, "-n", name, "-d", self.database, "-K", "", "-W", "")


class Gpg:
    """OpenPGP mail, which p7mill recognises and leaves alone."""

    def __init__(self, folder, person):
        self.home = folder / "gpg"
        self.home.mkdir(mode=0o700)
        self.run("--quick-generate-key", f"{person.name} <{person.address}>", "default", "default", "never",
                 at=datetime(2015, 5, 4, 9, tzinfo=timezone.utc))

    def run(self, *arguments, stdin=None, at=None):
        clock = ["--faked-system-time", at.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%S")] if at else []
        return run("gpg", "--homedir", self.home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback",
                   "--passphrase", "", "--trust-model", "always", *clock, *arguments, stdin=stdin)

    def sign(self, data, at):
        return self.run("--armor", "--digest-algo", "SHA256", "--detach-sign", stdin=data, at=at)

    def seal(self, data, address, at):
        return self.run("--armor", "--encrypt", "--recipient", address, stdin=data, at=at)

    def close(self):
        run("gpgconf", "--homedir", self.home, "--kill", "gpg-agent")


class Workshop:
    """Everything a letter's layers are made with."""

    def __init__(self, folder):
        self.pki = Pki(folder)
        self.programs = {"openssl": OpenSsl(self.pki, folder), "gpgsm": Gpgsm(self.pki, folder), "nss": Nss(self.pki, folder)}
        self.pgp = Gpg(folder, PEOPLE["re"])

    def close(self):
        self.programs["gpgsm"].close()
        self.pgp.close()


# ------------------------------------------------------------------------------------------------------ MIME
# An entity is (list of header lines, body bytes); every line ends in CRLF, as it does on the wire, until it is filed.

class Entity:
    def __init__(self, headers, body):
        self.headers, self.body = headers, body

    def bytes(self):
        return "".join(h + "\r\n" for h in self.headers).encode() + b"\r\n" + self.body


def lz4(data):
    """One frame of the LZ4 format with its bytes as they are: a compression that p7mill does not read."""
    return b"\x04\x22\x4d\x18\x60\x40\x82" + (len(data) | 1 << 31).to_bytes(4, "little") + data + bytes(4)


def crlf(data):
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def base64_lines(data):
    return crlf(base64.encodebytes(data))


def wrapped(text):
    """Paragraphs at 72 columns; quoted, indented and table lines stay as they are."""
    lines = []
    for line in textwrap.dedent(text).strip("\n").split("\n"):
        fixed = not line.strip() or line.startswith((">", " ", "-", "|")) or len(line) <= 76
        lines += [line] if fixed else textwrap.wrap(line, 72, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def text_part(text, charset="utf-8", encoding=None, subtype="plain", extra=()):
    if text.isascii() and encoding is None:
        return Entity([f"Content-Type: text/{subtype}; charset=us-ascii", "Content-Transfer-Encoding: 7bit", *extra],
                      crlf(text.encode()))
    encoding = encoding or "quoted-printable"
    raw = text.encode(charset)
    if encoding == "quoted-printable":
        body = quoprimime.body_encode(raw.decode("latin-1"), eol="\n").encode()
    else:
        body = base64.encodebytes(raw) if encoding == "base64" else raw
    return Entity([f"Content-Type: text/{subtype}; charset={charset}", f"Content-Transfer-Encoding: {encoding}", *extra], crlf(body))


def file_part(name, kind, data):
    shown = name if name.isascii() else Header(name, "utf-8", maxlinelen=900).encode()
    return Entity([f'Content-Type: {kind}; name="{shown}"', "Content-Transfer-Encoding: base64",
                   f'Content-Disposition: attachment; filename="{shown}"'], base64_lines(data))


def multipart(subtype, parts, parameters="", preamble=b""):
    seed = hashlib.md5(b"".join(p.bytes() for p in parts)).hexdigest()[:20]
    boundary = f"=_nh_{seed}"
    body = preamble
    for part in parts:
        body += b"--" + boundary.encode() + b"\r\n" + part.bytes() + b"\r\n"
    return Entity([f"Content-Type: multipart/{subtype};{parameters}", f' boundary="{boundary}"'],
                  body + b"--" + boundary.encode() + b"--\r\n")


# ---------------------------------------------------------------------------------------------------- layers
# What can be put around a letter. Each is called with (entity, time, workshop) and returns the new entity.

def signed(signer, by="openssl", opaque=False, digest="sha256", chain="full", old=False, binary=False, **options):
    """A signature by `signer`'s certificate; `old` uses the x-pkcs7 names, `binary` no base64."""

    def layer(entity, at, workshop):
        data = entity.bytes()
        cms = workshop.programs[by].sign(data, signer, at, opaque, digest, chain, options)
        x = "x-" if old else ""
        if opaque:
            return pkcs7(cms, "signed-data", old, binary)
        signature = Entity([f'Content-Type: application/{x}pkcs7-signature; name="smime.p7s"', "Content-Transfer-Encoding: base64",
                            'Content-Disposition: attachment; filename="smime.p7s"'], base64_lines(cms))
        micalg = {"sha1": "sha1", "sha256": "sha-256", "sha512": "sha-512"}[digest]
        whole = multipart("signed", [entity, signature], f' protocol="application/{x}pkcs7-signature"; micalg={micalg};',
                          b"This is a cryptographically signed message in MIME format.\r\n\r\n")
        return whole

    return layer


def sealed(recipients, by="openssl", cipher="aes256", old=False, label=None, spoil=None, **options):
    """Encryption to certificates, by name; `label` replaces the Content-Type, `spoil` damages the object."""

    def layer(entity, at, workshop):
        cms = workshop.programs[by].seal(entity.bytes(), recipients.split(), at, cipher, options)
        return pkcs7(spoil(cms) if spoil else cms, "authEnveloped-data" if cipher.endswith("gcm") else "enveloped-data", old, label=label)

    return layer


def pkcs7(cms, kind, old=False, binary=False, label=None, name="smime.p7m"):
    x = "x-" if old else ""
    content_type = label or f'application/{x}pkcs7-mime; smime-type={kind}; name="{name}"'
    return Entity([f"Content-Type: {content_type}", f"Content-Transfer-Encoding: {'binary' if binary else 'base64'}",
                   f'Content-Disposition: attachment; filename="{name}"'], cms if binary else base64_lines(cms))


def certificates_only(*names):
    def layer(_entity, at, workshop):
        cms = workshop.programs["openssl"].certificates_only(names, at)
        return pkcs7(cms, "certs-only", name="smime.p7c")

    return layer


def altered(old, new):
    """Changes the text after it was signed."""

    def layer(entity, _at, _workshop):
        assert entity.body.count(old.encode()) == 1, old
        return Entity(entity.headers, entity.body.replace(old.encode(), new.encode()))

    return layer


def cut_off(entity, _at, _workshop):
    """Loses the end of the body, as a full disk does."""
    lines = entity.body.split(b"\r\n")
    return Entity(entity.headers, b"\r\n".join(lines[: len(lines) * 3 // 5]) + b"\r\n")


def list_footer(text):
    """What a mailing list does to a signed message: one more part around it."""
    return lambda entity, _at, _workshop: multipart("mixed", [entity, text_part(text, extra=["Content-Disposition: inline"])])


def beside(text):
    """A letter in clear with the object so far as its attachment."""
    return lambda entity, _at, _workshop: multipart("mixed", [text_part(wrapped(text)), entity])


def pgp_signed(entity, at, workshop):
    signature = Entity(['Content-Type: application/pgp-signature; name="signature.asc"', "Content-Description: OpenPGP digital signature"],
                       crlf(workshop.pgp.sign(entity.bytes(), at)))
    return multipart("signed", [entity, signature], ' micalg=pgp-sha256; protocol="application/pgp-signature";')


def pgp_sealed(entity, at, workshop):
    version = Entity(["Content-Type: application/pgp-encrypted", "Content-Description: PGP/MIME version identification"], b"Version: 1\r\n")
    data = Entity(['Content-Type: application/octet-stream; name="encrypted.asc"', 'Content-Disposition: inline; filename="encrypted.asc"'],
                  crlf(workshop.pgp.seal(entity.bytes(), PEOPLE["re"].address, at)))
    return multipart("encrypted", [version, data], ' protocol="application/pgp-encrypted";')


def spoil_key(cms):
    """Damages the encrypted key of the only recipient (an RSA-2048 block)."""
    at = cms.index(b"\x04\x82\x01\x00") + 100
    return cms[:at] + bytes(b ^ 0x5A for b in cms[at : at + 16]) + cms[at + 16 :]


def spoil_content(cms):
    """Flips one bit of the ciphertext, which lies before the 18 bytes of the authentication tag at the end."""
    at = len(cms) - 90
    return cms[:at] + bytes([cms[at] ^ 1]) + cms[at + 1 :]


# --------------------------------------------------------------------------------------------------- letters

class Letter:
    """One message: what it says, what is around it, where it lies, and what is expected of it."""

    def __init__(self, box, when, sender, to, subject, text, parts=(), layers=(), form="plain", outcome="plain", reason="",
                 verdict="", note="", cc="", html=None, charset="utf-8", encoding=None, sent_by=None, received=None, flags="S",
                 new=False, stored="lf", compressed=False, sender_of_list=None, attached=None, headers=()):
        self.box, self.sender, self.subject, self.text = box, PEOPLE[sender], subject, text
        self.when = datetime.fromisoformat(when).replace(tzinfo=LOCAL)
        self.to, self.cc = [PEOPLE[p] for p in to.split()], [PEOPLE[p] for p in cc.split()]
        self.parts, self.layers = parts, layers
        self.form, self.outcome, self.reason, self.verdict, self.note = form, outcome, reason, verdict, note
        self.html, self.charset, self.encoding = html, charset, encoding
        self.sent_by, self.list = sent_by and PEOPLE[sent_by], sender_of_list and PEOPLE[sender_of_list]
        self.flags, self.new, self.stored, self.compressed, self.more = flags, new, stored, compressed, headers
        self.attached = attached  # (part, form, outcome, verdict, note) of a message inside that holds S/MIME
        self.digest = hashlib.md5(f"{when}{sender}{subject}".encode()).hexdigest()
        self.arrival = self.when + timedelta(seconds=7 + int(self.digest[:2], 16) % 50)
        own = all(p.address.endswith(MUSEUM) for p in [self.sender])
        internal = box in ("board", "sent") and own
        self.received = (not internal) if received is None else received

    def message_id(self):
        domain = self.sender.address.split("@")[1]
        if domain == MUSEUM and self.when.year < 2018 and not self.sender.mailer:
            return f"<fc.{self.digest[:24]}.{self.digest[24:30]}@{domain}>"
        return f"<{self.digest[:8]}.{self.digest[8:14]}@{domain}>"

    def mailer(self):
        if self.sender.mailer:
            return self.sender.mailer
        for until, name in ((2008, "FirstClass 8.0 (build 8.042)"), (2012, "FirstClass 9.1 (build 9.106)"), (2017, "FirstClass 11.1 (build 11.101)")):
            if self.when.year < until:
                return name
        return "FirstClass 16.0 (build 16.107)"

    def top(self, ids):
        """The header fields that are not about the content."""
        fields = []
        if self.received:
            domain = self.sender.address.split("@")[1]
            host = f"10.20.4.{int(self.digest[2:4], 16) % 90 + 10}"
            gate = "mail.nordhafen.example"
            stamp = format_datetime(self.arrival)
            if self.list:
                fields += [f"Received: from lists.baltic-museums.example (lists.baltic-museums.example [192.0.2.40])\r\n\tby {gate} with ESMTP id {self.digest[:10]}; {stamp}"]
            elif domain == MUSEUM:
                fields += [f"Received: from [{host}] by {gate}\r\n\twith ESMTP id {self.digest[:10]}; {stamp}"]
            else:
                earlier = format_datetime(self.arrival - timedelta(seconds=4))
                fields += [f"Received: from mx.{domain} (mx.{domain} [198.51.100.{int(self.digest[4:6], 16) % 200 + 1}])\r\n\tby {gate} with ESMTP id {self.digest[:10]}; {stamp}",
                           f"Received: from [192.168.1.5] by mx.{domain} with ESMTPA; {earlier}"]
        fields += [f"Message-ID: {self.message_id()}", f"Date: {format_datetime(self.when)}", f"From: {mailbox(self.sender)}"]
        if self.sent_by:
            fields.append(f"Sender: {mailbox(self.sent_by)}")
        fields.append("To: " + ",\r\n ".join(mailbox(p) for p in self.to))
        if self.cc:
            fields.append("Cc: " + ",\r\n ".join(mailbox(p) for p in self.cc))
        fields.append("Subject: " + (self.subject if self.subject.isascii() else Header(self.subject, self.charset).encode(linesep="\r\n")))
        if self.subject.startswith("Re: ") and self.subject[4:] in ids:
            fields += [f"In-Reply-To: {ids[self.subject[4:]]}", f"References: {ids[self.subject[4:]]}"]
        if self.list:
            fields += ["List-Id: Baltic Conservators <conservators.lists.baltic-museums.example>", "Precedence: list"]
        name = "User-Agent" if self.sender.mailer and self.sender.mailer.startswith(("Mutt", "Thunderbird")) else "X-Mailer"
        return fields + [f"{name}: {self.mailer()}", *self.more, "MIME-Version: 1.0"]

    def entity(self, workshop):
        closing = "" if self.text is None else f"\n{self.sender.closing}\n"
        content = text_part(wrapped(self.text) + closing, self.charset, self.encoding) if self.text is not None else None
        if self.html:
            page = f"<html><body>{self.html}</body></html>\n"
            content = multipart("alternative", [content, text_part(page, self.charset, subtype="html")])
        parts = [p(self.when, workshop) if callable(p) else p for p in self.parts]
        if parts:
            content = multipart("mixed", [content, *parts])
        for layer in reversed(self.layers):
            content = layer(content, self.when, workshop)
        return content

    def bytes(self, workshop, ids):
        """The message as it came over the wire."""
        entity = self.entity(workshop)
        ids.setdefault(self.subject, self.message_id())
        return Entity(self.top(ids) + entity.headers, entity.body).bytes()


def mailbox(person):
    name = person.name
    if name.isascii():
        name = f'"{name}"' if "." in name else name
    else:
        name = Header(name, "utf-8").encode()
    return f"{name} <{person.address}>"


def forwarded(letter):
    """A letter as a message/rfc822 part of another."""

    def part(_at, workshop):
        return Entity(["Content-Type: message/rfc822", "Content-Disposition: attachment"], letter.bytes(workshop, {}))

    return part


# ---------------------------------------------------------------------------------------------------- filing

def asctime(when):
    return when.astimezone(timezone.utc).strftime("%a %b %e %H:%M:%S %Y")


def from_line(letter):
    sender = letter.list or letter.sent_by or letter.sender
    return f"From {sender.address} {asctime(letter.arrival)}\n".encode()


def write_mboxrd(file, letters, workshop):
    """LF, and every line of a body that looks like a separator gets one more `>`."""
    ids = {}
    with file.open("wb") as out:
        for letter in letters:
            raw = letter.bytes(workshop, ids).replace(b"\r\n", b"\n")
            head, body = raw.split(b"\n\n", 1)
            lines = [b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in body.split(b"\n")]
            out.write(from_line(letter) + head + b"\nStatus: RO\n\n" + b"\n".join(lines) + b"\n")


def write_mboxcl2(file, letters, workshop):
    """LF, nothing quoted: the length of each body is in its header."""
    ids = {}
    with file.open("wb") as out:
        for letter in letters:
            raw = letter.bytes(workshop, ids).replace(b"\r\n", b"\n")
            head, body = raw.split(b"\n\n", 1)
            out.write(from_line(letter) + head + b"\nContent-Length: %d\nStatus: RO\n\n" % len(body) + body + b"\n")


KEYWORDS = {"loans": "a", "follow-up": "b"}


def write_maildir(folder, letters, workshop):
    """A Maildir as Dovecot keeps it; returns the letters in the order of the file names."""
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    ids, named = {}, []
    for n, letter in enumerate(letters):
        raw = letter.bytes(workshop, ids)
        wire = len(raw)
        if letter.stored == "lf":
            raw = raw.replace(b"\r\n", b"\n")
        if letter.stored == "binary":  # an object without base64: only what is before it has line ends
            head, body = raw.split(b"\r\n\r\n", 1)
            raw = head.replace(b"\r\n", b"\n") + b"\n\n" + body
        stamp = int(letter.arrival.timestamp())
        micro, pid = int(letter.digest[6:11], 16) % 1_000_000, 1200 + int(letter.digest[11:14], 16)
        name = f"{stamp}.M{micro}P{pid}.mail,S={len(raw)},W={wire}"
        if letter.new:
            path = folder / "new" / name
        else:
            path = folder / "cur" / f"{name}:2,{letter.flags}"
        path.write_bytes(lz4(raw) if letter.compressed else raw)
        named.append((stamp, path.name.encode(), name, letter))
    named.sort(key=lambda row: row[:2])
    uids = "".join(f"{n} :{name}\n" for n, (_, _, name, _) in enumerate(named, 1))
    guid = hashlib.md5(folder.name.encode()).hexdigest()
    (folder / "dovecot-uidlist").write_text(f"3 V1331625600 N{len(named) + 1} G{guid}\n{uids}")
    return [letter for _, _, _, letter in named if not letter.compressed]


def write_archive(folder, letters, workshop):
    """Files the letters and returns (mailbox, letters in order) in archive order."""
    boxes = {name: sorted((x for x in letters if x.box == name), key=lambda x: x.arrival) for name in BOXES}
    folder.mkdir()
    write_mboxcl2(folder / "Board.mbox", boxes["board"], workshop)
    write_mboxrd(folder / "Inbox.mbox", boxes["inbox"], workshop)
    curator = folder / "curator"
    order = {"board": boxes["board"], "inbox": boxes["inbox"]}
    for name in ("curator", "loans", "sent"):
        home = folder.parent / BOXES[name]
        order[name] = write_maildir(home, boxes[name], workshop)
        if home != curator:
            (home / "maildirfolder").touch()
            (home / "tmp" / ".gitkeep").touch()
    (curator / "tmp" / "1466582399.M120345P4127.mail").write_bytes(b"Received: from mx.kunsttransport.example by mail.nord")
    (curator / "dovecot-keywords").write_text("0 loans\n1 follow-up\n")
    (curator / "subscriptions").write_text("V\t2\n\nLoans\t2016\nSent\n")
    (folder / "export.log").write_text("FirstClass export, 2024-06-14, a.virtanen\n"
                                       "Brandt/Mailbox -> Inbox.mbox ok\nConferences/Board -> Board.mbox ok\nReuter: moved to IMAP in 2012, copied as it was\n")
    return [(BOXES[name], order[name]) for name in sorted(BOXES, key=lambda name: BOXES[name].encode())]


BOXES = {
    "board": "archive/Board.mbox",
    "inbox": "archive/Inbox.mbox",
    "curator": "archive/curator",
    "loans": "archive/curator/.Loans.2016",
    "sent": "archive/curator/.Sent",
}


def write_expected(file, order):
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\r\n")
        rows.writerow("mailbox ordinal part form outcome reason verdict note".split())
        for box, letters in order:
            for n, x in enumerate(letters, 1):
                rows.writerow([box, n, "", x.form, x.outcome, x.reason, x.verdict, x.note])
                if x.attached:
                    part, form, outcome, verdict, note = x.attached
                    rows.writerow([box, n, part, form, outcome, "", verdict, note])


def main():
    from letters import LETTERS

    for name in ("archive", "keys", "ca", "intermediates", "crl"):
        shutil.rmtree(HERE / name, ignore_errors=True)
    for name in ("keys", "ca", "intermediates", "crl"):
        (HERE / name).mkdir()
    with tempfile.TemporaryDirectory(prefix="nh") as temporary:
        workshop = Workshop(Path(temporary))
        try:
            pki = workshop.pki
            write_key_files(pki, HERE / "keys")
            workshop.programs["nss"].export("is", HERE / "keys" / "i.solberg.p12")
            order = write_archive(HERE / "archive", LETTERS, workshop)
            shutil.copy(pki.crt("root"), HERE / "ca" / "root.pem")
            for name in ("staff-1", "staff-2"):
                shutil.copy(pki.crt(name), HERE / "intermediates" / f"{name}.pem")
            pki.revoke()
            for name in ("root", "staff-1", "staff-2"):
                pki.crl(name, HERE / "crl" / f"{name}.pem")
        finally:
            workshop.close()
    write_expected(HERE / "EXPECTED.csv", order)
    print(sum(len(letters) for _, letters in order), "messages")


if __name__ == "__main__":
    import sys

    sys.modules["make"] = sys.modules["__main__"]  # letters.py imports this very module
    main()
