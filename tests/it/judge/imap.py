"""What a server says of the messages of a Maildir, held against the files.

imap.py PORT MAILDIR    logs in as anyone, and looks at every folder; counts go to standard output
"""

import datetime
import imaplib
import pathlib
import re
import sys

port, root = int(sys.argv[1]), pathlib.Path(sys.argv[2])
LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}


def crlf(data):
    return re.sub(rb"(?<!\r)\n", b"\r\n", data)


def expected(folder):
    """Flags, size, time and text of each message, sorted by text."""
    keywords = {}
    if (folder / "dovecot-keywords").exists():
        for line in (folder / "dovecot-keywords").read_text().splitlines():
            number, name = line.split(" ", 1)
            keywords[chr(ord("a") + int(number))] = name
    found = []
    for file in [*folder.glob("cur/*"), *folder.glob("new/*")]:
        data = file.read_bytes()
        _, _, letters = file.name.partition(":2,")
        flags = {LETTERS.get(letter) or keywords.get(letter) for letter in letters} - {None}
        stated = re.search(r",S=(\d+)", file.name)
        assert not stated or int(stated[1]) == len(data), file
        # IMAP has no NUL: Dovecot sends 0x80 for it.
        wire = crlf(data).replace(b"\0", b"\x80")
        # Dovecot believes the size that a name states, and sends no more.
        size = int((re.search(r",W=(\d+)", file.name) or [0, len(wire)])[1])
        lies.extend([file.name] if size != len(wire) else [])
        found.append((wire[:size], sorted(flags), size, int(file.stat().st_mtime)))
    return sorted(found)


server = imaplib.IMAP4("127.0.0.1", port)
server.login("someone", "anything")
listed = [line for line in server.list()[1] if b"\\Noselect" not in line]
folders = [line.rsplit(b' "." ', 1)[-1].decode().strip('"') for line in listed]
total = flagged = labelled = 0
lies = []
for name in folders:
    folder = root if name == "INBOX" else root / f".{name}"
    assert server.select(f'"{name}"', readonly=True)[0] == "OK", name
    parts = server.fetch("1:*", "(FLAGS RFC822.SIZE INTERNALDATE BODY.PEEK[])")[1]
    given = []
    for part, rest in zip(parts[::2], parts[1::2]):
        head = part[0] + rest
        flags = {flag.decode() for flag in imaplib.ParseFlags(head)} - {"\\Recent"}
        size = int(re.search(rb"RFC822.SIZE (\d+)", head)[1])
        when = datetime.datetime.strptime(re.search(rb'INTERNALDATE "([^"]+)"', head)[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
        given.append((part[1], sorted(flags), size, int(when.timestamp())))
    given.sort()
    wanted = expected(folder)
    assert len(given) == len(wanted), (name, len(given), len(wanted))
    for got, want in zip(given, wanted):
        at = next((n for n, (a, b) in enumerate(zip(got[0], want[0])) if a != b), -1)
        assert got == want, (name, got[1:], want[1:], len(got[0]), len(want[0]), got[0][at - 30 : at + 60], want[0][at - 30 : at + 60])
    total += len(given)
    flagged += sum("\\Flagged" in flags for _, flags, _, _ in given)
    labelled += sum(any(not flag.startswith("\\") for flag in flags) for _, flags, _, _ in given)
subscribed = sorted(line.rsplit(b' "." ', 1)[-1].decode().strip('"') for line in server.lsub()[1] if line)
server.logout()
print(f"{len(folders)} folders, {total} messages, {flagged} flagged, {labelled} with keywords, subscribed: {' '.join(subscribed)}")
print("sizes that are not so:", " ".join(lies) or "none")
