"""Prints the subject of a message as Python reads it; fails on a header that Python finds wrong.

subject.py MESSAGE
"""

import email
import email.policy
import sys

with open(sys.argv[1], "rb") as file:
    message = email.message_from_binary_file(file, policy=email.policy.default)
print(message["Subject"])
sys.exit(bool(message.defects) or len(message.get_all("Subject")) != 1)
