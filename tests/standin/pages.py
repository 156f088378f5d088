# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""Answering one connection: a few pages over HTTP, one request a connection."""

from __future__ import annotations

import socket

PAGES = {"/": "SEP sesam", "/sep/ui/": "SEP sesam Web UI", "/sep/api/": "SEP sesam REST API"}
PATIENCE = 30.0
LONGEST_REQUEST = 65536


def answer(connection: socket.socket) -> None:
    """Read one request and answer it; a client that says nothing gets nothing."""
    request = b""
    while b"\r\n\r\n" not in request and len(request) < LONGEST_REQUEST:
        part = connection.recv(4096)
        if not part:
            return
        request += part
        if not request[:1].isupper():
            break  # no method begins like this: a TLS client, say
    connection.sendall(response(request))


def response(request: bytes) -> bytes:
    """The whole answer to ``request``."""
    words = request.split(b"\r\n", 1)[0].decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        status, title = "400 Bad Request", "Bad request"
    elif words[0] not in ("GET", "HEAD"):
        status, title = "405 Method Not Allowed", "Method not allowed"
    elif words[1].split("?", 1)[0] in PAGES:
        status, title = "200 OK", PAGES[words[1].split("?", 1)[0]]
    else:
        status, title = "404 Not Found", "Not found"
    body = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n".encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    return head + (b"" if words[:1] == ["HEAD"] else body)
