"""Judges a signed message with Python's own mail parser: ORIGINAL SIGNED

It has to be a multipart/signed of two parts, the first one holding what the original held, under an
unchanged header.
"""

import email
import email.policy
import sys


def content(part):
    """Every leaf as its type and its decoded bytes; text with LF line ends."""
    if part.is_multipart():
        return [part.get_content_type(), [content(child) for child in part.get_payload()]]
    data = part.get_payload(decode=True) or b""
    if part.get_content_maintype() == "text":
        data = data.replace(b"\r\n", b"\n")
    return [part.get_content_type(), data]


def header(message):
    own = lambda name: not name.lower().startswith(("content-", "mime-version"))
    return [(name, str(value)) for name, value in message.items() if own(name)]


original, signed = (
    email.message_from_bytes(open(name, "rb").read(), policy=email.policy.compat32) for name in sys.argv[1:3]
)
faults = []
if signed.get_content_type() != "multipart/signed":
    faults.append(f"type {signed.get_content_type()}")
elif len(signed.get_payload()) != 2:
    faults.append(f"{len(signed.get_payload())} parts")
else:
    covered, signature = signed.get_payload()
    if signed.get_param("protocol") != "application/pkcs7-signature":
        faults.append(f"protocol {signed.get_param('protocol')}")
    if signed.get_param("micalg") not in ("sha-256", "sha-384", "sha-512", "shake256"):
        faults.append(f"micalg {signed.get_param('micalg')}")
    if signature.get_content_type() != "application/pkcs7-signature" or signature.get_filename() != "smime.p7s":
        faults.append("no smime.p7s")
    if content(covered) != content(original):
        faults.append(f"content {content(covered)!r} is not {content(original)!r}")
    if header(signed) != header(original):
        faults.append(f"header {header(signed)} is not {header(original)}")
if signed.defects or faults:
    print("\n".join(faults + [repr(defect) for defect in signed.defects]))
    sys.exit(1)
