"""Says whether a marker stands in a message/rfc822 part of its own, and nowhere else.

neighbours.py MESSAGE MARKER
"""

import email
import email.policy
import sys

path, marker = sys.argv[1:]
with open(path, "rb") as file:
    message = email.message_from_binary_file(file, policy=email.policy.default)


def leaves(part, enclosed):
    """Every leaf, and whether it lies in an attached message."""
    if part.get_content_type() == "message/rfc822":
        for inner in part.iter_parts():
            yield from leaves(inner, True)
    elif part.is_multipart():
        for inner in part.iter_parts():
            yield from leaves(inner, enclosed)
    else:
        yield part.get_payload(decode=True).decode("utf-8", "replace"), enclosed


found = [(text, enclosed) for text, enclosed in leaves(message, False)]
inside = [text for text, enclosed in found if enclosed and marker in text]
outside = [text for text, enclosed in found if not enclosed and marker in text]
fragments = [text for text, enclosed in found if not enclosed]
print("%d inside, %d outside" % (len(inside), len(outside)) if len(inside) != 1 or outside else "apart")
sys.exit(not (len(inside) == 1 and not outside and any("evil" in text for text in fragments)))
