# SPDX-License-Identifier: Apache-2.0
"""A client of lithosd in Python: include/lithos/proto.h as struct formats."""
import json
import mmap
import os
import socket
import struct

MAGIC = 0x4F54494C
VERSION = 2
(ADMIT, ADMITTED, REFUSED, ATTACH, ATTACHED, PEER, PEER_GONE, STATUS, REPORT, NOTICE,
 RETURN_RUN) = range(1, 12)
HEADER = struct.Struct("<IHHII")
ADMIT_BODY = struct.Struct("<64sIIII1024s")
ADMITTED_BODY = struct.Struct("<16s16s64sIIIIII16s256s")
ATTACH_BODY = struct.Struct("<16s16sII")
ATTACHED_BODY = struct.Struct("<IIII")
TEXT_BODY = struct.Struct("<1024s")


class Refused(Exception):
    pass


class Connection:
    def __init__(self, path, timeout=30.0):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(timeout)
        self.sock.connect(path)

    def send(self, kind, body=b""):
        self.sock.send(HEADER.pack(MAGIC, VERSION, kind, HEADER.size + len(body), 0) + body)

    def receive(self):
        """(type, body, descriptors); ConnectionError when the daemon has closed."""
        data, fds, _, _ = socket.recv_fds(self.sock, 8192, 8)
        if len(data) < HEADER.size:
            raise ConnectionError("closed")
        magic, version, kind, size, _ = HEADER.unpack_from(data)
        if magic != MAGIC or version != VERSION or size != len(data):
            raise ConnectionError("malformed answer")
        return kind, data[HEADER.size :], fds

    def close(self):
        self.sock.close()


class Reservation:
    """What `lithos run` holds: as long as the connection is open, the tenant is there."""

    def __init__(self, path, name, tpcs=0, priority=0):
        self.connection = Connection(path)
        self.connection.send(ADMIT, ADMIT_BODY.pack(name.encode(), tpcs, 0, priority, 0, b""))
        kind, body, _ = self.connection.receive()
        if kind == REFUSED:
            raise Refused(TEXT_BODY.unpack_from(body)[0].split(b"\0")[0].decode())
        fields = ADMITTED_BODY.unpack_from(body)
        self.token, self.uuid = fields[0], fields[1]
        self.name = fields[2].split(b"\0")[0].decode()
        self.nr_own, self.nr_tpcs = fields[3], fields[4]

    def come_back(self, path):
        """After the daemon died."""
        self.connection.close()
        self.connection = Connection(path)
        self.connection.send(RETURN_RUN, ATTACH_BODY.pack(self.token, self.uuid, 0, 0))
        return self.connection.receive()[0]

    def attach(self, path):
        """A process' connection, its line, and its three regions as descriptors."""
        connection = Connection(path)
        connection.send(ATTACH, ATTACH_BODY.pack(self.token, self.uuid, 0, 0))
        kind, body, fds = connection.receive()
        if kind != ATTACHED:
            raise Refused("attach: answer %d" % kind)
        return connection, ATTACHED_BODY.unpack_from(body)[0], fds

    def uuid_text(self):
        h = self.uuid.hex()
        return "GPU-%s-%s-%s-%s-%s" % (h[:8], h[8:12], h[12:16], h[16:20], h[20:])

    def close(self):
        self.connection.close()


class Status:
    """STATUS again and again on one connection; a new one when the daemon was restarted."""

    def __init__(self, path):
        self.path = path
        self.connection = None

    def ask(self):
        if self.connection is None:
            self.connection = Connection(self.path)
        try:
            self.connection.send(STATUS)
            return self.connection.receive()
        except OSError:
            self.connection.close()
            self.connection = None
            raise

    def get(self):
        had_connection = self.connection is not None
        try:
            kind, body, fds = self.ask()
        except OSError:
            if not had_connection:
                raise
            kind, body, fds = self.ask()  # of a daemon that has gone; this one is new
        if kind != REPORT:
            raise ConnectionError("status: answer %d" % kind)
        size = struct.unpack_from("<Q", body)[0]
        try:
            return json.loads(os.pread(fds[0], size, 0))
        finally:
            for fd in fds:
                os.close(fd)


def parse_set(text):
    """ "0-8,27" as a set of numbers."""
    numbers = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def map_region(fd):
    return mmap.mmap(fd, os.fstat(fd).st_size)
