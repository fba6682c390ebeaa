"""Makes encrypted mail that the OpenSSL command line cannot make, from RFCs and primitives alone.

    make_sealed.py FOLDER

FOLDER holds olga.pem (RSA), otto.pem and otto.key, sara.pem and sara.key (EC), xena.pem (X25519), xeno.pem (X448); mail/NAME.eml
is written for each of what is named below, and the names are printed.
"""

import base64
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import CAST5, Camellia
except ImportError:
    from cryptography.hazmat.decrepit.ciphers.algorithms import CAST5
    from cryptography.hazmat.primitives.ciphers.algorithms import Camellia
except ModuleNotFoundError:
    from cryptography.hazmat.primitives.ciphers.algorithms import CAST5, Camellia

FOLDER = Path(sys.argv[1])
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe second mate signs for the cargo.\r\n"


def tlv(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    size = bytes([n]) if n < 128 else (lambda b: bytes([0x80 | len(b)]) + b)(n.to_bytes((n.bit_length() + 7) // 8, "big"))
    return bytes([tag]) + size + body


def seq(*parts):
    return tlv(0x30, *parts)


def octets(data):
    return tlv(4, data)


def integer(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def oid(dotted):
    first, second, *rest = map(int, dotted.split("."))
    out = b""
    for arc in [first * 40 + second, *rest]:
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.insert(0, 0x80 | arc & 0x7F)
        out += bytes(digits)
    return tlv(6, out)


AES = "2.16.840.1.101.3.4.1."
SMIME_ALG = "1.2.840.113549.1.9.16.3."
DATA = oid("1.2.840.113549.1.7.1")


def certificate(name):
    return x509.load_pem_x509_certificate((FOLDER / f"{name}.pem").read_bytes())


def issuer_serial(cert):
    return seq(cert.issuer.public_bytes(), integer(cert.serial_number))


def ski(cert):
    return cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def ktri(cek, key=None):
    cert = certificate("olga")
    key = key or cert.public_key().encrypt(cek, padding.PKCS1v15())
    return seq(integer(0), issuer_serial(cert), seq(oid("1.2.840.113549.1.1.1"), b"\x05\x00"), octets(key))


def ktri_oaep(cek):
    cert = certificate("olga")
    key = cert.public_key().encrypt(cek, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    return seq(integer(0), issuer_serial(cert), seq(oid("1.2.840.113549.1.1.7"), seq()), octets(key))


def shared_info(wrap, ukm, bits):
    party = tlv(0xA0, octets(ukm)) if ukm else b""
    return seq(wrap, party, tlv(0xA2, octets(bits.to_bytes(4, "big"))))


def raw(public):
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def kari(cek, to, scheme, derive, originator=None, ukm=None, by_ski=False, sender=None):
    """RFC 5753 §3.1; `derive` makes the key-encryption key of shared secret and shared info."""
    cert = certificate(to)
    public = cert.public_key()
    if sender is None:
        makers = {x25519.X25519PublicKey: (x25519.X25519PrivateKey, "1.3.101.110"), x448.X448PublicKey: (x448.X448PrivateKey, "1.3.101.111")}
        for kind, (maker, name) in makers.items():
            if isinstance(public, kind):
                ephemeral, algorithm = maker.generate(), seq(oid(name))
        if isinstance(public, ec.EllipticCurvePublicKey):
            ephemeral, algorithm = ec.generate_private_key(public.curve), seq(oid("1.2.840.10045.2.1"))
        originator = tlv(0xA1, algorithm, tlv(3, b"\x00", raw(ephemeral.public_key())))
    else:
        ephemeral = serialization.load_pem_private_key((FOLDER / f"{sender}.key").read_bytes(), None)
    secret = ephemeral.exchange(ec.ECDH(), public) if isinstance(public, ec.EllipticCurvePublicKey) else ephemeral.exchange(public)
    wrap = seq(oid(AES + "45"))
    kek = derive(secret, shared_info(wrap, ukm, 256))
    rid = tlv(0xA0, octets(ski(cert))) if by_ski else issuer_serial(cert)
    keyed = seq(seq(rid, octets(aes_key_wrap(kek, cek))))
    return tlv(0xA1, integer(3), tlv(0xA0, originator), tlv(0xA1, octets(ukm)) if ukm else b"", seq(oid(scheme), wrap), keyed)


def x963(digest):
    return lambda secret, info: X963KDF(digest, 32, info).derive(secret)


def hkdf(digest):
    return lambda secret, info: HKDF(digest, 32, None, info).derive(secret)


def content(algorithm, ciphertext):
    return seq(DATA, algorithm, tlv(0x80, ciphertext))


def enveloped(recipients, algorithm, ciphertext, originator=b""):
    info = tlv(0xA0, tlv(0xA0, originator)) if originator else b""
    data = seq(integer(2), info, tlv(0x31, *recipients), content(algorithm, ciphertext))
    return seq(oid("1.2.840.113549.1.7.3"), tlv(0xA0, data))


def authenticated(recipients, algorithm, ciphertext, tag, attributes=b""):
    attributes = tlv(0xA1, attributes) if attributes else b""
    data = seq(integer(0), tlv(0x31, *recipients), content(algorithm, ciphertext), attributes, octets(tag))
    return seq(oid("1.2.840.113549.1.9.16.1.23"), tlv(0xA0, data))


def padded(text, block):
    fill = block - len(text) % block
    return text + bytes([fill]) * fill


def cbc(cipher, key, iv, blocks=None):
    encryptor = Cipher(cipher(key), modes.CBC(iv)).encryptor()
    return encryptor.update(blocks or padded(TEXT, len(iv))) + encryptor.finalize()


def aes_cbc(recipient_of, originator=b"", blocks=None):
    """AES-256-CBC for the recipient that `recipient_of` makes of the key; `blocks` go in padded."""
    cek, iv = os.urandom(32), os.urandom(16)
    algorithm = seq(oid(AES + "42"), octets(iv))
    return enveloped([recipient_of(cek)], algorithm, cbc(algorithms.AES, cek, iv, blocks), originator)


def ccm(bits, size, icv, nonce_len, attributes=b""):
    cek, nonce = os.urandom(bits // 8), os.urandom(nonce_len)
    algorithm = seq(oid(AES + icv), seq(octets(nonce), integer(size) if size != 12 else b""))
    sealed = AESCCM(cek, tag_length=size).encrypt(nonce, TEXT, tlv(0x31, attributes) if attributes else None)
    return authenticated([ktri(cek)], algorithm, sealed[:-size], sealed[-size:], attributes)


def gcm(attributes=b"", shown=None, flip=False, recipient_of=ktri):
    """`shown` are other attributes than those that the tag covers."""
    cek, nonce = os.urandom(32), os.urandom(12)
    algorithm = seq(oid(AES + "46"), seq(octets(nonce), integer(16)))
    sealed = AESGCM(cek).encrypt(nonce, TEXT, tlv(0x31, attributes) if attributes else None)
    tag = sealed[-16:-1] + bytes([sealed[-1] ^ flip])
    return authenticated([recipient_of(cek)], algorithm, sealed[:-16], tag, attributes if shown is None else shown)


def chacha():
    cek, nonce = os.urandom(32), os.urandom(12)
    sealed = ChaCha20Poly1305(cek).encrypt(nonce, TEXT, None)
    return authenticated([ktri(cek)], seq(oid(SMIME_ALG + "18"), octets(nonce)), sealed[:-16], sealed[-16:])


def derived(cek, inner):
    return HKDF(hashes.SHA256(), len(cek), b"The Cryptographic Message Syntax", inner).derive(cek)


def cek_hkdf_cbc(recipient_of, stripped=False):
    cek, iv = os.urandom(16), os.urandom(16)
    inner = seq(oid(AES + "2"), octets(iv))
    sealed = cbc(algorithms.AES, derived(cek, inner), iv)
    return enveloped([recipient_of(cek)], inner if stripped else seq(oid(SMIME_ALG + "31"), inner), sealed)


def cek_hkdf_gcm():
    cek, nonce = os.urandom(32), os.urandom(12)
    inner = seq(oid(AES + "46"), seq(octets(nonce), integer(16)))
    sealed = AESGCM(derived(cek, inner)).encrypt(nonce, TEXT, None)
    return authenticated([ktri(cek)], seq(oid(SMIME_ALG + "31"), inner), sealed[:-16], sealed[-16:])


def cast5(bits):
    cek, iv = os.urandom(bits // 8), os.urandom(8)
    algorithm = seq(oid("1.2.840.113533.7.66.10"), seq(octets(iv), integer(bits)))
    return enveloped([ktri(cek)], algorithm, cbc(CAST5, cek, iv))


def camellia():
    cek, iv = os.urandom(32), os.urandom(16)
    return enveloped([ktri(cek)], seq(oid("1.2.392.200011.61.1.1.1.4"), octets(iv)), cbc(Camellia, cek, iv))


def kem(cek):
    """RFC 9629 §3; nobody has the key, it is there to be named."""
    body = seq(
        integer(0), issuer_serial(certificate("third")), seq(oid("2.16.840.1.101.3.4.4.2")), octets(os.urandom(1088)),
        seq(oid(SMIME_ALG + "28")), integer(32), seq(oid(AES + "45")), octets(os.urandom(40)),
    )
    return tlv(0xA4, oid("1.2.840.113549.1.9.16.13.3"), body)


SHA256, SHA512 = hashes.SHA256(), hashes.SHA512()
STD, COFACTOR = "1.3.132.1.11.1", "1.3.132.1.14.1"
SARA = certificate("sara")
SARA_DER = SARA.public_bytes(serialization.Encoding.DER)
BY_NAME, BY_SKI = issuer_serial(SARA), tlv(0x80, ski(SARA))


def static(originator, carried=b""):
    return aes_cbc(lambda cek: kari(cek, "otto", STD, x963(SHA256), originator, b"sixteen octets!!", sender="sara"), carried)


ATTRIBUTE = seq(oid("1.2.840.113549.1.9.3"), tlv(0x31, DATA))
MAIL = {
    "ccm-128": ccm(128, 16, "7", 13),
    "ccm-192": ccm(192, 14, "27", 7),
    "ccm-256-short-tag-attributes": ccm(256, 12, "47", 12, ATTRIBUTE),
    "chacha20": chacha(),
    "cek-hkdf-cbc": cek_hkdf_cbc(ktri),
    "cek-hkdf-gcm": cek_hkdf_gcm(),
    "cek-hkdf-kari": cek_hkdf_cbc(lambda cek: kari(cek, "otto", STD, x963(SHA256))),
    "cast5-40": cast5(40),
    "cast5-80": cast5(80),
    "cast5-128": cast5(128),
    "camellia-256": camellia(),
    "x25519-hkdf": aes_cbc(lambda cek: kari(cek, "xena", SMIME_ALG + "19", hkdf(SHA256))),
    "x25519-hkdf-ukm-ski": aes_cbc(lambda cek: kari(cek, "xena", SMIME_ALG + "19", hkdf(SHA256), ukm=b"ukm", by_ski=True)),
    "x25519-x963": aes_cbc(lambda cek: kari(cek, "xena", STD, x963(SHA256))),
    "x448-hkdf-512": aes_cbc(lambda cek: kari(cek, "xeno", SMIME_ALG + "21", hkdf(SHA512))),
    "ecdh-cofactor": aes_cbc(lambda cek: kari(cek, "otto", COFACTOR, x963(SHA256), ukm=b"some keying material")),
    "static-carried": static(BY_NAME, SARA_DER),
    "static-by-name": static(BY_NAME),
    "static-by-ski": static(BY_SKI),
    "bad-cek-hkdf-stripped": cek_hkdf_cbc(ktri, stripped=True),
    "bad-kem": aes_cbc(kem),
}
def broken_wrap(cek):
    """A key agreement whose wrapped key has one bit turned."""
    sound = kari(cek, "otto", STD, x963(SHA256))
    return sound[:-1] + bytes([sound[-1] ^ 1])


# A GCM mail with attributes, and the same with others in their place or none.
OTHER = seq(oid("1.2.840.113549.1.9.3"), tlv(0x31, oid("1.2.840.113549.1.7.2")))
MAIL["gcm-attributes"] = gcm(ATTRIBUTE)
MAIL["bad-attributes-altered"] = gcm(ATTRIBUTE, OTHER)
MAIL["bad-attributes-removed"] = gcm(ATTRIBUTE, b"")
MAIL["bad-attributes-added"] = gcm(b"", ATTRIBUTE)

# Every way in which only the holder of the key can see that it is the wrong one.
GARBAGE = bytes(range(0x80, 0xC0)) * 2
MAIL["alike-rsa-padding"] = aes_cbc(lambda cek: ktri(cek, b"\x00" + os.urandom(255)))
MAIL["alike-rsa-length"] = aes_cbc(lambda cek: ktri(cek, os.urandom(200)))
MAIL["alike-key-too-short"] = aes_cbc(lambda cek: ktri(cek[:24]))
MAIL["alike-key-too-long"] = aes_cbc(lambda cek: ktri(cek + cek))
MAIL["alike-other-key"] = aes_cbc(lambda cek: ktri(os.urandom(32)))
MAIL["alike-other-key-gcm"] = gcm(recipient_of=lambda cek: ktri(os.urandom(32)))
MAIL["alike-oaep-other-key"] = aes_cbc(lambda cek: ktri_oaep(os.urandom(32)))
MAIL["alike-oaep-too-short"] = aes_cbc(lambda cek: ktri_oaep(cek[:16]))
MAIL["alike-cbc-padding"] = aes_cbc(ktri, blocks=TEXT[:64])
MAIL["alike-garbage"] = aes_cbc(ktri, blocks=padded(GARBAGE, 16))
MAIL["alike-tag"] = gcm(flip=True)
MAIL["alike-wrap"] = aes_cbc(broken_wrap)
MAIL["alike-wrap-gcm"] = gcm(recipient_of=broken_wrap)

for name in ["ccm-256-short-tag-attributes", "chacha20"]:
    # The last bit of the tag is the last of the object.
    MAIL[f"bad-{name}"] = MAIL[name][:-1] + bytes([MAIL[name][-1] ^ 1])

for name, der in MAIL.items():
    kind = "authEnveloped-data" if der[4:20].find(oid("1.2.840.113549.1.9.16.1.23")[2:]) >= 0 else "enveloped-data"
    head = (
        f"From: ann@example.org\nTo: olga@example.org\nSubject: {name}\nMIME-Version: 1.0\n"
        f"Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
    )
    (FOLDER / "mail" / f"{name}.eml").write_bytes(head.encode() + base64.encodebytes(der))
    print(name)
