"""Wraps mail as people bring it. The tools are those that people have, not p7mill's.

wrap.py compressed MBOX FOLDER    FOLDER/{a,b,c,d}.mbox.{gz,bz2,xz,zst}, each of two members
wrap.py maildir MAILDIR           compresses its files in place, in turn, as Dovecot's zlib plugin does
wrap.py takeout MBOX EML FOLDER   FOLDER/takeout.{zip,tgz,tar,tar.bz2,tar.xz,tar.zst} with both in them
wrap.py hostile MBOX FOLDER       archives that no honest program makes
wrap.py mh MBOX FOLDER            an MH folder with sequences
wrap.py emlx EML FOLDER           1.emlx, read and flagged, and 2.partial.emlx
"""

import bz2
import gzip
import io
import lzma
import mailbox
import os
import pathlib
import plistlib
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile

COMMENT = "Takeout/archive_browser.html"
ALL_MAIL = "Takeout/Mail/All mail Including Spam and Trash.mbox"


def zstd(data):
    return subprocess.run(["zstd", "-qc"], input=data, check=True, capture_output=True).stdout


PACK = {"gz": lambda data: gzip.compress(data, mtime=0), "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd}


def compressed(mbox, folder):
    data = pathlib.Path(mbox).read_bytes()
    half = len(data) // 2
    for name, (suffix, pack) in zip("abcd", PACK.items()):
        pathlib.Path(folder, f"{name}.mbox.{suffix}").write_bytes(pack(data[:half]) + pack(data[half:]))


def maildir(folder):
    packs = list(PACK.values())
    for n, file in enumerate(sorted(pathlib.Path(folder).glob("cur/*"))):
        stat = file.stat()
        file.write_bytes(packs[n % len(packs)](file.read_bytes()))
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def takeout(mbox, eml, folder):
    folder = pathlib.Path(folder)
    members = {
        COMMENT: b"<html>not mail</html>",
        ALL_MAIL: pathlib.Path(mbox).read_bytes(),
        "Takeout/one.eml": pathlib.Path(eml).read_bytes(),
    }
    with zipfile.ZipFile(folder / "takeout.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Takeout/", b"")
        for name, data in members.items():
            # As a program does that writes to a pipe: sizes come behind, in the directory.
            with archive.open(zipfile.ZipInfo(name, (2015, 11, 23, 9, 0, 0)), "w", force_zip64=True) as member:
                member.write(data)
    for mode, suffix in (("w:gz", "tgz"), ("w", "tar"), ("w:bz2", "tar.bz2"), ("w:xz", "tar.xz")):
        with tarfile.open(folder / f"takeout.{suffix}", mode) as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), 1448269200
                archive.addfile(info, io.BytesIO(data))
    (folder / "takeout.tar.zst").write_bytes(zstd((folder / "takeout.tar").read_bytes()))


def hostile(mbox, folder):
    folder = pathlib.Path(folder)
    data = pathlib.Path(mbox).read_bytes()
    whole = gzip.compress(data, mtime=0)
    (folder / "cut.mbox.gz").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "crc.mbox.gz").write_bytes(whole[:-8] + b"\0\0\0\0" + whole[-4:])
    (folder / "trailing.mbox.gz").write_bytes(whole + b"and more")
    (folder / "padded.mbox.gz").write_bytes(whole + bytes(512))
    (folder / "twice.mbox.gz").write_bytes(gzip.compress(whole))
    bomb = data + b"From a@example.org Mon Nov 23 09:00:00 2015\nSubject: bomb\n\n" + b"\n" * (400 << 20)
    (folder / "bomb.mbox.gz").write_bytes(gzip.compress(bomb, 9))
    for name, mode in (("evil.tar", "w"), ("evil.tgz", "w:gz")):
        with tarfile.open(folder / name, mode) as archive:
            for member in ("../out.mbox", "/tmp/absolute.mbox", "in.mbox", "in.mbox", "in.mbox/below.mbox", "x" * 300 + ".mbox"):
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            for kind, member in ((tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "hard"), (tarfile.FIFOTYPE, "fifo")):
                info = tarfile.TarInfo(member)
                info.type, info.linkname = kind, "in.mbox"
                archive.addfile(info)
            info = tarfile.TarInfo("nested.mbox.gz")
            info.size = len(whole)
            archive.addfile(info, io.BytesIO(whole))
    tar = (folder / "evil.tar").read_bytes()
    (folder / "short.tar").write_bytes(tar[: 512 * 2 + len(data) // 2])
    with zipfile.ZipFile(folder / "evil.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.mbox", data)
        archive.writestr("../out.mbox", data)
        archive.writestr("crc.mbox", data)
        archive.writestr("locked.mbox", data)
        archive.writestr("short.mbox", data)
        link = zipfile.ZipInfo("link.mbox")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "good.mbox")
    raw = bytearray((folder / "evil.zip").read_bytes())
    with zipfile.ZipFile(folder / "evil.zip") as archive:
        names = [info.filename for info in archive.infolist()]
    at = raw.index(b"PK\x01\x02")
    first = None
    for name in names:
        n, e, c = struct.unpack_from("<HHH", raw, at + 28)
        if name == "good.mbox":
            first = bytes(raw[at : at + 46])
        if name == "crc.mbox":
            struct.pack_into("<I", raw, at + 16, 1)
        if name == "locked.mbox":
            struct.pack_into("<H", raw, at + 8, 1)
        if name == "short.mbox":
            struct.pack_into("<I", raw, at + 24, len(data) - 100)
        at += 46 + n + e + c
    # One more entry, for the bytes of the first.
    end = raw.index(b"PK\x05\x06")
    extra = bytearray(first)
    struct.pack_into("<H", extra, 28, len(b"same.mbox"))
    raw[end:end] = extra + b"same.mbox"
    end += len(extra) + len(b"same.mbox")
    entries, size = struct.unpack_from("<HI", raw, end + 10)
    struct.pack_into("<HHI", raw, end + 8, entries + 1, entries + 1, size + len(extra) + len(b"same.mbox"))
    (folder / "evil.zip").write_bytes(raw)


def mh(mbox, folder):
    made = mailbox.MH(folder)
    source = mailbox.mbox(mbox)
    for n, message in enumerate(source, 1):
        message = mailbox.MHMessage(message)
        message.set_sequences([name for name, every in (("unseen", 2), ("flagged", 3), ("replied", 5)) if n % every == 0])
        made.add(message)


def emlx(eml, folder):
    data = pathlib.Path(eml).read_bytes()
    flags = plistlib.dumps({"date-received": 1448269200, "flags": 1 | 1 << 4})
    for name in ("1.emlx", "2.partial.emlx"):
        pathlib.Path(folder, name).write_bytes(b"%-10d\n" % len(data) + data + flags)


globals()[sys.argv[1]](*sys.argv[2:])
