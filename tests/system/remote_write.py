"""Bodies of Prometheus remote-write, by hand: what an agent would send, at the times that a test wants."""

import struct


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def series(labels, samples):
    """SAMPLES: (Unix ms, value)."""
    body = b""
    for name, value in sorted(labels.items()):
        body += field(1, field(1, name.encode()) + field(2, value.encode()))
    for t, value in samples:
        body += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(t))
    return field(1, body)


def packed(data):
    """Snappy's block format, with nothing packed."""
    out = varint(len(data))
    for i in range(0, len(data), 65536):
        piece = data[i : i + 65536]
        out += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return out


def write(plant, *many):
    """Each of MANY is (name, labels, samples)."""
    body = b"".join(series({"__name__": name, **labels}, samples) for name, labels, samples in many)
    answer = plant.session.post(
        plant.url + "/api/v1/write",
        data=packed(body),
        headers={
            "Authorization": f"Bearer {plant.admin_token}",
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
        },
        timeout=20,
    )
    assert answer.status_code == 204, answer.text
