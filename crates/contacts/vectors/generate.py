#!/usr/bin/env python3
"""Writes contacts.json: codes, phrases, numbers, tokens and boxes, computed apart from the crate.

    pip install blake3 argon2-cffi cryptography
    vectors/generate.py > vectors/contacts.json
"""
import hmac
import json
from hashlib import sha256
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

WORDS = (Path(__file__).resolve().parent.parent / "words/english.txt").read_text().split()
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def derive(context, data, length=32):
    return blake3(data, derive_key_context=f"Antiphon 2026 {context}").digest(length)


def bech32m(hrp, data):
    """As in BIP 350."""
    number, spare = int.from_bytes(data, "big"), -8 * len(data) % 5
    count = (8 * len(data) + spare) // 5
    symbols = [(number << spare) >> 5 * (count - 1 - i) & 31 for i in range(count)]
    spread = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    check = 1
    for value in spread + symbols + [0] * 6:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
            check ^= generator if top >> i & 1 else 0
    check ^= 0x2BC830A3
    symbols += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return hrp + "1" + "".join(ALPHABET[s] for s in symbols)


def code(secret, network, address, tag, hour):
    key = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    return bytes([1]) + network + bytes([address]) + key + tag + hour.to_bytes(3, "big")


def codes_root(secret, mine, others):
    key = X25519PublicKey.from_public_bytes(others[6:38])
    shared = X25519PrivateKey.from_private_bytes(secret).exchange(key)
    return derive("call root of two codes", shared + min(mine, others) + max(mine, others))


def labelled(suite, salt, label, material):
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + material, sha256).digest()


def expanded(suite, key, label, info, length):
    """HKDF-Expand of at most 32 bytes, as in RFC 9180."""
    info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.new(key, info + b"\1", sha256).digest()[:length]


def invitation(code, ephemeral, payload, number):
    """HPKE, base mode: DHKEM of X25519 and HKDF-SHA256, HKDF-SHA256, AES-256-GCM."""
    kem, suite = b"KEM\0\x20", b"HPKE\0\x20\0\1\0\2"
    ephemeral = X25519PrivateKey.from_private_bytes(ephemeral)
    encapped = ephemeral.public_key().public_bytes_raw()
    agreed = ephemeral.exchange(X25519PublicKey.from_public_bytes(code[6:38]))
    key = labelled(kem, b"", b"eae_prk", agreed)
    shared = expanded(kem, key, b"shared_secret", encapped + code[6:38], 32)
    info = b"Antiphon 2026 invitation" + code[1:5] + number.to_bytes(8, "big")
    context = b"\0" + labelled(suite, b"", b"psk_id_hash", b"") + labelled(suite, b"", b"info_hash", info)
    secret = labelled(suite, shared, b"secret", b"")
    key, nonce = expanded(suite, secret, b"key", context, 32), expanded(suite, secret, b"base_nonce", context, 12)
    return encapped + AESGCM(key).encrypt(nonce, payload, b"")


def safety_number(one, other, session):
    out = derive("safety number", min(one, other) + max(one, other) + session, 60 + 32)
    groups = [int.from_bytes(out[5 * i : 5 * i + 5], "big") % 100_000 for i in range(12)]
    return " ".join(f"{group:05}" for group in groups), (b"\1" + out[60:]).hex()


def phrase(bits):
    check = derive("phrase check", bits.to_bytes(8, "big"), 1)[0] >> 3
    whole = bits << 5 | check
    return " ".join(WORDS[whole >> 11 * (4 - i) & 0x7FF] for i in range(5))


def phrase_root(text, network):
    salt = derive("phrase salt", network)
    stretched = hash_secret_raw(text.encode(), salt, 12, 64 * 1024, 1, 32, Type.ID, 0x13)
    return derive("call root of a phrase", stretched)


def leaf(root, number):
    key = root
    for height in reversed(range(64)):
        halves = derive("keywheel", key, 64)
        key = halves[32:] if number >> height & 1 else halves[:32]
    return key


def call_box(tokens):
    tokens = sorted(tokens)
    bits, last = "", 0
    remainder = ((45_426 << 40 >> 16) // max(1, len(tokens))).bit_length() - 1
    for token in tokens:
        gap, last = token - last, token
        bits += "1" * (gap >> remainder) + "0" + f"{gap & (1 << remainder) - 1:0{remainder}b}"
    bits += "0" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""
    return b"\1" + len(tokens).to_bytes(4, "big") + body


def main():
    network, tag = bytes(range(32)), bytes(range(100, 116))
    secrets = [bytes([3]) * 32, bytes([4]) * 32]
    codes = [code(s, network[:4], 77 + i, tag, 500_000 + i) for i, s in enumerate(secrets)]
    identities = [bytes([i + 1]) * 32 + bytes([i + 9]) * 32 for i in range(2)]
    number, qr = safety_number(*identities, bytes([5]) * 32)
    root = derive("call root of an introduction", bytes([6]) * 32)
    inviting = bytes([7]) * 32
    payload = bytes([2]) + tag + bytes([200]) + inviting + bytes(46)
    item = invitation(codes[0], bytes([8]) * 32, payload, 17)
    places = [(0, 0, 0), (1, 0, 1), (29_833_000, 1, 0), (2**64 - 1, 1, 1)]
    tokens = [(number * 0x9E3779B97F4A7C15) % 2**40 for number in range(40)] + [7, 7]
    print(json.dumps({
        "about": "Written by vectors/generate.py. Keys, codes and roots in hexadecimal.",
        "code": {"secret": secrets[0].hex(), "network": network.hex(), "address": 77, "hour": 500_000,
                 "tag": tag.hex(), "bytes": codes[0].hex(), "text": bech32m("antiphon", codes[0])},
        "codes": {"secrets": [s.hex() for s in secrets], "codes": [c.hex() for c in codes],
                  "root": codes_root(secrets[0], codes[0], codes[1]).hex()},
        "safety_number": {"identities": [i.hex() for i in identities], "session": (bytes([5]) * 32).hex(),
                          "digits": number, "qr": qr},
        "phrases": [{"bits": bits, "text": phrase(bits)} for bits in (0, 1, 2**50 - 1, 0x2_3456_789A_BCDE)],
        "phrase_root": phrase_root(phrase(0x2_3456_789A_BCDE), network).hex(),
        "introduction": {"secret": (bytes([6]) * 32).hex(), "root": root.hex()},
        "invitation": {"secret": inviting.hex(), "inviter": 200, "round": 17, "item": item.hex(),
                       "root": derive("call root of an invitation", inviting + codes[0] + bytes([200])).hex(),
                       "mark": derive("mark of an invitation", inviting, 16).hex()},
        "tokens": [{"round": r, "side": s, "intent": i,
                    "token": derive("call token", leaf(root, r) + bytes([s, i]), 5).hex(),
                    "session": derive("session of a call round", leaf(root, r)).hex()}
                   for r, s, i in places],
        "box": {"tokens": tokens, "bytes": call_box(tokens).hex()},
    }, indent=1))


main()
