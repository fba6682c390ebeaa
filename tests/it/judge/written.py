"""Judges every message that p7mill wrote, with Python's own parsers and the OpenSSL command line.

    written.py SAMPLE-DATA OUT

Finds each message by the offsets that messages.csv gives, in the source and in OUT, and checks that
- the hashes and lengths in messages.csv and manifest.csv are those of the bytes found there;
- what is not changed is byte-identical, its From_ line included; what lies between messages is too;
- what is decrypted is a message that `email` reads without a defect, whose other headers are the old ones, in order, and
  which is no longer encrypted;
- an inner signature that signatures.csv calls intact verifies in the written message, and a broken one does not.
"""

import csv
import hashlib
import re
import subprocess
import sys
import tempfile
from email import message_from_bytes, policy
from pathlib import Path

SAMPLE, OUT = map(Path, sys.argv[1:])
WORK = tempfile.TemporaryDirectory()
CHANGED = {"decrypted", "rewrapped", "reencrypted"}
WRONG = []


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def delivered(folder):
    files = [f for f in (*folder.glob("cur/*"), *folder.glob("new/*")) if f.read_bytes()[:4] != b"\x04\x22\x4d\x18"]
    return sorted(files, key=lambda f: (int(f.name.split(".")[0]), f.name.encode()))


def stretch(top, mailbox, ordinal, offset, size):
    """(path below top, From_ line, message) as the offsets say."""
    path = top / mailbox
    if path.is_dir():
        file = delivered(path)[int(ordinal) - 1]
        if int(offset) != 0:
            WRONG.append((mailbox, ordinal, "a file's offset is 0"))
        return str(file.relative_to(top)), b"", file.read_bytes()
    data = path.read_bytes()
    start = data.index(b"\n", int(offset)) + 1
    return mailbox, data[int(offset) : start], data[start : start + int(size)]


def lines_as_sent(raw):
    """CRLF throughout, but for a body that is binary."""
    head, body = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)
    crlf = lambda b: re.sub(rb"\r?\n", b"\r\n", b)
    binary = re.search(rb"(?mi)^content-transfer-encoding: *binary", head)
    return crlf(head) + b"\r\n\r\n" + (body if binary else crlf(body))


def unquoted(mailbox, raw):
    """The message that an mboxrd's quoting hides; the sample's Board.mbox does not quote."""
    return re.sub(rb"(?m)^>(>*From )", rb"\1", raw) if mailbox.endswith("Inbox.mbox") else raw


def fields(raw):
    """Header fields that describe the message, not its content."""
    head = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0]
    every = re.findall(rb"(?m)^[!-9;-~]+:.*(?:\r?\n[ \t].*)*", head)
    other = lambda f: not f.lower().startswith((b"content-", b"mime-version:", b"lines:"))
    return [f.replace(b"\r\n", b"\n") for f in every if other(f)]


def openssl_verifies(raw):
    file = Path(WORK.name) / "message"
    file.write_bytes(lines_as_sent(raw))
    command = ["openssl", "cms", "-verify", "-noverify", "-in", file, "-out", Path(WORK.name) / "content"]
    return subprocess.run(command, capture_output=True).returncode == 0


def defects(message):
    for part in message.walk():
        yield from part.defects
        for _, value in part.items():
            yield from value.defects
        if not part.is_multipart():
            part.get_payload(decode=True)
            if part.get_content_maintype() == "text":
                part.get_content()
            yield from part.defects


def main():
    messages = [row for row in table(OUT / "report/messages.csv") if not row["part"]]
    signatures = table(OUT / "report/signatures.csv")
    manifest = {(r["out_path"], r["out_ordinal"]): r for r in table(OUT / "manifest.csv")}
    kept = read = verified = refuted = 0
    ends = {}
    for row in messages:
        name = row["mailbox"], row["ordinal"]
        say = lambda what: WRONG.append((*name, row["form"], row["outcome"], what))
        old_path, old_line, old = stretch(SAMPLE, *name, row["offset"], row["bytes"])
        new_path, new_line, new = stretch(OUT, row["out_mailbox"], row["out_ordinal"], row["out_offset"], row["out_bytes"])
        for raw, size, digest in ((old, "bytes", "sha256"), (new, "out_bytes", "out_sha256")):
            if len(raw) != int(row[size]) or hashlib.sha256(raw).hexdigest() != row[digest]:
                say(f"{size} or {digest} is not that of the message")
        listed = manifest.get((new_path, row["out_ordinal"])) or manifest.get((new_path, "1")) or manifest.get((new_path, ""))
        if listed is None:
            say(f"{new_path} is not in manifest.csv")
        elif (listed["in_sha256"], listed["out_sha256"], listed["outcome"]) != (row["sha256"], row["out_sha256"], row["outcome"]):
            say("manifest.csv says something else")
        if old_line != new_line:
            say("another From_ line")
        if row["mailbox"].endswith(".mbox"):
            # What lies between messages, the separating line and the From_ line, is as it was.
            for top, offset, size, line, key in (
                (SAMPLE, row["offset"], row["bytes"], old_line, "old"),
                (OUT, row["out_offset"], row["out_bytes"], new_line, "new"),
            ):
                previous = ends.get((row["mailbox"], key), 0)
                between = (top / row["mailbox"]).read_bytes()[previous : int(offset)]
                if between.strip(b"\r\n"):
                    say("something lies between two messages")
                ends[row["mailbox"], key] = int(offset) + len(line) + int(size)
        if row["outcome"] not in CHANGED:
            kept += 1
            if old != new or old_path != new_path:
                say("not changed, and not the same")
            continue
        raw = unquoted(row["mailbox"], new)
        message = message_from_bytes(raw, policy=policy.default)
        found = list(defects(message))
        read += 1
        if found:
            say(f"{found}")
        length = message["Content-Length"]
        if length is not None and int(length) != len(new.split(b"\n\n", 1)[1]):
            say("Content-Length is wrong")
        strip = lambda fs: [f for f in fs if not f.lower().startswith(b"content-length")]
        if strip(fields(unquoted(row["mailbox"], old))) != strip(fields(raw)):
            say("the other headers are not the old ones")
        kind = message.get_content_type()
        layers = row["form"].removeprefix("partial:").split(">")
        sealed = [p for p in message.walk() if p.get_param("smime-type", "") in ("enveloped-data", "authEnveloped-data")]
        if sealed:
            say("still encrypted")
        if row["form"].startswith("partial:") or not layers[-1].endswith("-signed"):
            continue
        if layers[-1] == "clear-signed" and kind != "multipart/signed":
            say(f"{kind} where a clear-signed message was expected")
        inner = [s for s in signatures if (s["mailbox"], s["ordinal"]) == name and not s["part"] and int(s["layer"]) == len(layers)]
        if not inner:
            say("signatures.csv does not know the inner signature")
        for signature in inner:
            good = openssl_verifies(raw)
            if good != (signature["integrity"] == "intact"):
                say(f"integrity {signature['integrity']}, and openssl cms -verify says {good}")
            verified += good
            refuted += not good
    for (mailbox, key), end in ends.items():
        rest = ((SAMPLE if key == "old" else OUT) / mailbox).read_bytes()[end:]
        if rest.strip(b"\r\n"):
            WRONG.append((mailbox, key, "something lies behind the last message"))
    print(f"{len(messages)} messages: {kept} byte-identical, {read} changed ones read, {verified} inner signatures verify, {refuted} do not")
    for line in WRONG:
        print(*line)
    if not (kept and read > 20 and verified > 8):
        WRONG.append("too few to show anything")
    return 1 if WRONG else 0


sys.exit(main())
