"""Judges CSV reports: sheets.py REPORT MESSAGES [SPREADSHEETS]

Every record has the header's columns, messages.csv has a record a message; JSON Lines, where there
are any, hold the raw values. SPREADSHEETS is a folder of .xlsx files made of them: none may hold a
formula or a hyperlink."""

import csv
import json
import pathlib
import re
import sys
import zipfile

wrong = []
report, messages = pathlib.Path(sys.argv[1]), int(sys.argv[2])
csv.field_size_limit(1 << 30)
for file in sorted(report.glob("*.csv")):
    data = file.read_bytes()
    if not data.endswith(b"\r\n") or data.count(b"\n") != data.count(b"\r\n"):
        wrong.append(f"{file.name}: a line that does not end in CRLF")
    records = list(csv.reader(data.decode("utf-8").splitlines(keepends=True)))
    if len(records) != data.count(b"\r\n"):
        wrong.append(f"{file.name}: {len(records)} records in {data.count(bytes([10]))} lines")
    wrong += [f"{file.name}: {len(r)} cells" for r in records if len(r) != len(records[0])]
    if file.name == "messages.csv" and len(records) != messages + 1:
        wrong.append(f"{len(records)} records for {messages} messages")
    wrong += [f"{file.name}: {c!r}" for r in records for c in r if re.match(r"\s*[=+\-@\t\r＝＋－＠]", c)]
    lines = report / (file.stem + ".jsonl")
    if lines.exists():
        undo = lambda cell: re.sub(r"\\u\{([0-9a-f]+)\}", lambda m: chr(int(m[1], 16)), cell)
        objects = [json.loads(line) for line in lines.read_text("utf-8").split("\n")[:-1]]
        if len(objects) != len(records) - 1:
            wrong.append(f"{lines.name}: {len(objects)} objects")
        for record, held in zip(records[1:], objects):
            for name, cell in zip(records[0], record):
                raw = "" if held[name] is None else str(held[name])
                if undo(cell) != raw and undo(cell) != "'" + raw:
                    wrong.append(f"{file.name} {name}: {cell!r} for {raw!r}")
count = 0
for file in sorted(pathlib.Path(sys.argv[3]).glob("*.xlsx")) if len(sys.argv) > 3 else []:
    count += 1
    with zipfile.ZipFile(file) as book:
        for name in book.namelist():
            if name.startswith("xl/worksheets/") and re.search(rb"<f[ >/]|<hyperlink", book.read(name)):
                wrong.append(f"{file.name}: a formula")
print("\n".join(wrong) or f"{count} spreadsheets without a formula")
sys.exit(1 if wrong else 0)
