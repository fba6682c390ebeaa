"""Counts the messages of each mailbox of the sample, before and after, with Python's mailbox.

    counts.py SAMPLE-DATA OUT

Python splits an mbox at every line that begins with `From `: two such lines stand unquoted in signed text of Board.mbox
(its Content-Length is right), so it sees two more there. In the Maildir it counts the compressed file too.
"""

import csv
import mailbox
import sys
from pathlib import Path

sample, out = map(Path, sys.argv[1:])
with open(sample / "EXPECTED.csv", newline="", encoding="utf-8") as file:
    expected = [row for row in csv.DictReader(file) if not row["part"]]
wrong = 0
for name, extra in (("Board.mbox", 2), ("Inbox.mbox", 0), ("curator", 1), ("curator/.Loans.2016", 0), ("curator/.Sent", 0)):
    kind = mailbox.mbox if name.endswith(".mbox") else mailbox.Maildir
    stated = sum(row["mailbox"] == f"archive/{name}" for row in expected)
    before, after = (len(kind(top / "archive" / name, create=False)) for top in (sample, out))
    print(f"{name}: {stated} + {extra} stated, {before} before, {after} after")
    wrong += not stated + extra == before == after
sys.exit(wrong != 0)
