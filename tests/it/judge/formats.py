"""Whether mailboxes of several formats hold the same messages, with the same flags and times.

formats.py PATH PATH...    an mbox, a Maildir, or a folder of .eml files; each is held against the first
"""

import mailbox
import os
import pathlib
import re
import sys
import time

FIELDS = re.compile(rb"\A(?:(?:Status|X-Status|X-Keywords): [^\n]*\n)*")


def unquoted(data):
    return re.sub(rb"(?m)^>(>*From )", rb"\1", data)


def messages(path):
    """Text, flags and time of each; None where the format has no place for it."""
    path = pathlib.Path(path)
    found = []
    if path.is_file():
        box = mailbox.mbox(path)
        for key, message in box.iteritems():
            flags = {"R": "S", "A": "R", "F": "F", "D": "T", "T": "D"}
            letters = "".join(sorted(flags[flag] for flag in message.get_flags() if flag in flags))
            text = FIELDS.sub(b"", unquoted(box.get_bytes(key)))
            sent = int(time.mktime(time.strptime(message.get_from().split(" ", 1)[1].strip(), "%a %b %d %H:%M:%S %Y")))
            found.append((text.rstrip(b"\n"), letters, sent, message["X-Keywords"]))
    elif (path / "cur").exists():
        box = mailbox.Maildir(path)
        legend = path / "dovecot-keywords"
        names = dict(line.split() for line in legend.read_text().splitlines()) if legend.exists() else {}
        for key, message in box.iteritems():
            file = path / box._lookup(key)
            letters = "".join(sorted(set(message.get_flags()) & set("DFRST")))
            words = [names.get(str(ord(letter) - ord("a"))) for letter in message.get_flags() if letter.islower()]
            found.append((FIELDS.sub(b"", file.read_bytes()).rstrip(b"\n"), letters, int(file.stat().st_mtime), " ".join(words) or message["X-Keywords"]))
    else:
        for file in sorted(path.glob("*.eml")):
            found.append((FIELDS.sub(b"", file.read_bytes()).rstrip(b"\n"), None, int(file.stat().st_mtime), None))
    return sorted(found, key=lambda message: message[0])


os.environ["TZ"] = "UTC"
time.tzset()
first = messages(sys.argv[1])
for other in sys.argv[2:]:
    made = messages(other)
    assert len(made) == len(first), (other, len(made), len(first))
    for got, want in zip(made, first):
        assert got[0] == want[0], (other, got[0], want[0])
        assert got[1] is None or got[1] == want[1], (other, got[1:], want[1:])
        assert got[2] == want[2], (other, got[1:], want[1:])
        assert got[1] is None or got[3] == want[3], (other, got[1:], want[1:])
count = lambda letter: sum(letter in flags for _, flags, _, _ in first)
print(f"{len(first)} messages, {count('S')} seen, {count('F')} flagged, {count('R')} answered")
