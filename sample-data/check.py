#!/usr/bin/env python3
"""Judges the sample with the OpenSSL command line and Python's own parsers, and compares with EXPECTED.csv.

    python3 sample-data/check.py

Knows nothing of p7mill. A signature is `valid` here where `openssl cms -verify` accepts it at the time the message was
received and the signer's certificate carries From's address; an object is `decrypted` where `openssl cms -decrypt` opens
it with one of the key files. Lindqvist's passphrase is used only to show that what is `locked` is sound.
"""

import csv
import mailbox
import re
import subprocess
import sys
import tempfile
from email import message_from_bytes, policy
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEMPORARY = tempfile.TemporaryDirectory()
WORK = Path(TEMPORARY.name)
LOCKED = re.search(r'^LOCKED = "(.+)"', (HERE / "make.py").read_text(), re.M)[1]


def openssl(*arguments, ok=None):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True)
    return done.stdout if done.returncode == 0 else ok


def save(name, data):
    (WORK / name).write_bytes(data)
    return WORK / name


# ------------------------------------------------------------------------------------------------ the archive

def mboxcl2(data):
    """(From_ line, message) pairs, by Content-Length alone."""
    while data:
        line, rest = data.split(b"\n", 1)
        head, body = rest.split(b"\n\n", 1)
        length = int(re.search(rb"(?m)^Content-Length: (\d+)$", head)[1])
        assert line.startswith(b"From ") and (body[length:] == b"\n" or body[length:].startswith(b"\nFrom ")), line
        yield line, head + b"\n\n" + body[:length]
        data = body[length + 1 :]


def mboxrd(data):
    for piece in re.split(rb"(?m)^(?=From )", data)[1:]:
        line, rest = piece.split(b"\n", 1)
        assert rest.endswith(b"\n\n")
        yield line, re.sub(rb"(?m)^>(>*From )", rb"\1", rest[:-1])


def from_time(line):
    return parsedate_to_datetime(line.decode().split(" ", 2)[2] + " +0000").timestamp()


def wire(raw):
    """CRLF throughout, but for a body that is binary."""
    head, body = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)
    lines = lambda b: re.sub(rb"\r?\n", b"\r\n", b)
    binary = re.search(rb"(?mi)^content-transfer-encoding: *binary", head)
    return lines(head) + b"\r\n\r\n" + (body if binary else lines(body))


def messages():
    """(mailbox, ordinal, fallback time, message) in archive order."""
    for name, split in (("Board", mboxcl2), ("Inbox", mboxrd)):
        for n, (line, raw) in enumerate(split((HERE / f"archive/{name}.mbox").read_bytes()), 1):
            yield f"archive/{name}.mbox", n, from_time(line), wire(raw)
    for folder in ("curator", "curator/.Loans.2016", "curator/.Sent"):
        home = HERE / "archive" / folder
        files = sorted([*home.glob("cur/*"), *home.glob("new/*")], key=lambda f: (int(f.name.split(".")[0]), f.name.encode()))
        n = 0
        for file in files:
            raw = file.read_bytes()
            if raw[:4] == b"\x04\x22\x4d\x18":
                assert raw[11:].startswith(b"Received: ")
                continue
            assert f",S={len(raw)}," in file.name
            n += 1
            yield f"archive/{folder}", n, int(file.name.split(".")[0]), wire(raw)


# --------------------------------------------------------------------------------------------------- the keys

PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n", re.S)


def load_keys():
    """(certificates, [(certificate, key, locked)])."""
    certificates, private = [], []
    for file in sorted((HERE / "keys").iterdir()):
        locked = False
        if file.suffix in (".p12", ".pfx"):
            open_it = lambda word: openssl("pkcs12", "-legacy", "-in", file, "-nodes", "-passin", f"pass:{word}")
            pem = open_it("")
            if pem is None:
                pem, locked = open_it(LOCKED), True
        else:
            pem = openssl("x509", "-inform", "DER", "-in", file) if file.suffix == ".der" else file.read_bytes()
        for found in PEM.finditer(pem):
            if b"PRIVATE KEY" in found[1]:
                key = save(f"{len(private)}.key", found[0])
                private.append((openssl("pkey", "-in", key, "-pubout"), key, locked))
            else:
                certificates.append(found[0])
    pairs = []
    for n, pem in enumerate(certificates):
        crt = save(f"{n}.crt", pem)
        public = openssl("x509", "-in", crt, "-noout", "-pubkey")
        pairs += [(crt, key, locked) for p, key, locked in private if p == public]
    return certificates, sorted(pairs, key=lambda pair: pair[2])  # the locked one is tried last


CERTIFICATES, KEYS = load_keys()
ALL = save("all.pem", b"".join(CERTIFICATES) + b"".join(f.read_bytes() for f in sorted((HERE / "intermediates").iterdir())))
SERIALS = {openssl("x509", "-in", crt, "-noout", "-serial").decode().strip()[7:].lower().lstrip("0") for crt, _, _ in KEYS}


# ------------------------------------------------------------------------------------------------- one message

def kind_of(entity):
    """What a part is, by its label, or by its name where the label says nothing."""
    part = message_from_bytes(entity, policy=policy.compat32)
    kind, name = part.get_content_type(), part.get_filename() or ""
    if kind == "multipart/signed":
        return part, "pgp-signed" if "pgp" in part.get_param("protocol", "") else "clear-signed"
    if kind == "multipart/encrypted":
        return part, "pgp-encrypted"
    if kind.endswith("pkcs7-mime") or name == "smime.p7m":
        der = part.get_payload(decode=True)
        if part["Content-Transfer-Encoding"] == "binary":
            der = entity.split(b"\r\n\r\n", 1)[1]
        for oid, form in ((b"\x07\x02", "opaque-signed"), (b"\x07\x03", "enveloped"), (b"\x09\x10\x01\x17", "auth-enveloped")):
            if oid in der[:20]:
                return part, "certs-only" if name.endswith("p7c") else form
    return part, None


def pieces(entity, boundary):
    """The exact bytes of a multipart's parts."""
    mark = b"\r\n--" + boundary.encode()
    return [p.split(b"\r\n", 1)[1] for p in (b"\r\n" + entity.split(b"\r\n\r\n", 1)[1]).split(mark)[1:] if not p.startswith(b"--")]


def judge(der, content, at, sender):
    """(verdict, content) of a SignedData."""
    arguments = ["cms", "-verify", "-inform", "DER", "-in", save("cms", der), "-binary", "-CAfile", HERE / "ca/root.pem",
                 "-certfile", ALL, "-attime", int(at), "-signer", WORK / "signer"]
    if content is not None:
        arguments += ["-content", save("content", content)]
    out = openssl(*arguments)
    if out is None:
        # -verify builds chains from the message's certificates only; ours may come from elsewhere in the archive
        out = openssl(*arguments, "-noverify")
        if out is None:
            return "invalid", None
        if openssl("verify", "-CAfile", HERE / "ca/root.pem", "-untrusted", ALL, "-attime", int(at), "-purpose", "smimesign", WORK / "signer") is None:
            return "indeterminate", out
    emails = openssl("x509", "-in", WORK / "signer", "-noout", "-email").decode().lower().split()
    return ("valid" if sender in emails else "indeterminate"), out


def unseal(der):
    """(outcome, plaintext) of an EnvelopedData or AuthEnvelopedData."""
    file = save("cms", der)
    printed = openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", file)
    if printed is None:
        return "malformed", None
    for crt, key, locked in KEYS:
        out = openssl("cms", "-decrypt", "-binary", "-inform", "DER", "-in", file, "-recip", crt, "-inkey", key)
        if out is not None and out.startswith(b"Content-Type: "):
            return ("locked", None) if locked else ("decrypted", out)
    serials = {f"{int(x, 16):x}" for x in re.findall(rb"serialNumber: 0x([0-9A-F]+)", printed)}
    serials |= {f"{int(x):x}" for x in re.findall(rb"serialNumber: (\d+)\n", printed)}
    return ("undecryptable" if serials & SERIALS else "no-key"), None


def first_part(entity, path=()):
    """The first S/MIME part below: (entity, its path, the message it is attached in)."""
    part, form = kind_of(entity)
    if form and not form.startswith("pgp"):
        return entity, path, None
    if part.get_content_maintype() == "multipart":
        for n, piece in enumerate(pieces(entity, part.get_boundary()), 1):
            if found := first_part(piece, (*path, str(n))):
                return found
    if part.get_content_type() == "message/rfc822":
        inner = entity.split(b"\r\n\r\n", 1)[1]
        if found := first_part(inner, path):
            return found[0], path, inner
    return None


def examine(message, fallback):
    """Rows of (part, form, outcome, verdict)."""
    outer = message_from_bytes(message, policy=policy.default)
    received = outer.get_all("Received")
    at = parsedate_to_datetime(received[0].rsplit(";", 1)[1]).timestamp() if received else fallback
    address = lambda *names: [a.lower() for _, a in getaddresses([str(v) for n in names for v in outer.get_all(n, [])])]
    sender = address("From")[0]
    forms, outcome, verdict, entity, partial = [], "plain", "", message, False
    if kind_of(entity)[1] is None:
        found = first_part(entity)
        if found is None:
            return [("", "plain", "plain", "")]
        if found[2] is not None:
            _, form, outcome, verdict = examine(found[2], at)[0]
            return [("", f"partial:{form}", "kept", ""), (".".join(found[1]), form, outcome, verdict)]
        entity, partial = found[0], True
    while (step := kind_of(entity))[1]:
        part, form = step
        forms.append(form)
        if form.startswith("pgp"):
            break
        outcome = outcome if outcome == "decrypted" else "kept"
        if form == "clear-signed":
            entity, signature = pieces(entity, part.get_boundary())
            verdict, _ = judge(message_from_bytes(signature).get_payload(decode=True), entity, at, sender)
        elif form == "certs-only":
            assert openssl("pkcs7", "-inform", "DER", "-in", save("cms", part.get_payload(decode=True)), "-print_certs")
            break
        else:
            der = entity.split(b"\r\n\r\n", 1)[1] if part["Content-Transfer-Encoding"] == "binary" else part.get_payload(decode=True)
            if form == "opaque-signed":
                verdict, entity = judge(der, None, at, sender)
            else:
                outcome, entity = unseal(der)
                if outcome == "decrypted" and partial and not addressed(der, address("To", "Cc")):
                    outcome, entity = "refused", None
        if entity is None:
            break
    if partial and verdict == "valid":
        verdict = "indeterminate"
    return [("", ("partial:" if partial else "") + ">".join(forms), outcome, verdict)]


def addressed(der, addresses):
    """Whether one who can open it is among the message's recipients."""
    for crt, key, _ in KEYS:
        out = openssl("cms", "-decrypt", "-binary", "-inform", "DER", "-in", save("cms", der), "-recip", crt, "-inkey", key)
        if out is not None and set(openssl("x509", "-in", crt, "-noout", "-email").decode().lower().split()) & set(addresses):
            return True
    return False


def main():
    with open(HERE / "EXPECTED.csv", newline="", encoding="utf-8") as file:
        expected = [tuple(row[c] for c in ("mailbox", "ordinal", "part", "form", "outcome", "verdict")) for row in csv.DictReader(file)]
    found = [(box, str(n), *row) for box, n, at, message in messages() for row in examine(message, at)]
    wrong = 0
    for e, f in zip(expected, found):
        if e != f:
            wrong += 1
            print("expected", e, "\n   found", f)
    # Python's mailbox splits at every line that begins with `From `: two such lines stand in Board.mbox.
    counts = {box: sum(1 for row in expected if row[0] == box and not row[2]) for box in {row[0] for row in expected}}
    for name, extra in (("Board", 2), ("Inbox", 0)):
        assert len(mailbox.mbox(HERE / f"archive/{name}.mbox", create=False)) == counts[f"archive/{name}.mbox"] + extra
    for folder, extra in (("curator", 1), ("curator/.Loans.2016", 0), ("curator/.Sent", 0)):  # one is the lz4 file
        assert len(mailbox.Maildir(HERE / "archive" / folder, create=False)) == counts[f"archive/{folder}"] + extra
    print(f"{len(expected)} rows expected, {len(found)} found, {wrong} differ")
    return 0 if len(expected) == len(found) and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
