#!/usr/bin/env python3
"""Exit status 0 where the server in this container answers PING (or asks for the password that it was started with)."""

import socket
import sys

with socket.create_connection(("127.0.0.1", 6379), timeout=2) as connection:
    connection.sendall(b"PING\r\n")
    answer = connection.recv(64)
sys.exit(not answer.startswith((b"+PONG", b"-NOAUTH")))
