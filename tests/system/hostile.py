"""What tests of bad input share: raw sockets, and what a good refusal looks like."""

import socket

from plant import Plant


def exchange(plant, data, timeout=20, ends=False):
    """Sends bytes as they are; gives back all that comes until the server closes. ENDS: nothing follows,
    and the server is told."""
    with socket.create_connection(("127.0.0.1", plant.api_port), timeout=timeout) as s:
        try:
            s.sendall(data)
            if ends:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has closed already, perhaps with an answer
        got = b""
        try:
            while chunk := s.recv(65536):
                got += chunk
        except (ConnectionResetError, TimeoutError):
            pass
    return got


def status_of(raw):
    return int(raw.split(b" ", 2)[1]) if raw.startswith(b"HTTP/1.") else None


def head(plant, first_line, *headers, host="127.0.0.1", token=True):
    lines = [first_line]
    if host is not None:
        lines.append(f"Host: {host}")
    if token:
        lines.append(f"Authorization: Bearer {plant.admin_token}")
    return ("\r\n".join([*lines, "Connection: close", *headers]) + "\r\n\r\n").encode()


def is_problem(answer, status, field=None, words=""):
    """RFC 9457, of this status; with the field named, and saying it in these words."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["Content-Type"] == "application/problem+json", answer.headers
    told = answer.json()
    assert told["status"] == status and told["type"].startswith("urn:reeve:error:") and told["title"]
    assert told["detail"], told
    if field:
        assert told.get("field") == field, told
    assert words in told["detail"], told
    return told


def has_lost_nothing(plant, accepted):
    """Every job that was accepted is there, and the ledger is whole."""
    for job in accepted:
        assert plant.ask("GET", f"/api/v1/jobs/{job}").status_code == 200, job
    verify = plant.ask("POST", "/api/v1/ledger:verify", timeout=60)
    assert verify.status_code == 200 and verify.json()["ok"], verify.text


def control_plane(build, folder, *options, **more):
    """A control plane alone: nothing that is submitted starts."""
    plant = Plant(build, folder=folder, reeved=options, **more)
    plant.start_reeved()
    return plant
