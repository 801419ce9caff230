#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A lithosd that keeps no books, for tests of the command line: it answers as it is told to.

    fake_daemon.py SOCKET --log FILE [--admit HOW] [--return HOW] ...

Each message that arrives becomes a line of FILE. HOW: ok, refuse, garbage, version, short, long,
close, silent, slow, owner (of a tenant that asked for nothing). The layouts are those of
include/lithos/proto.h.
"""
import argparse
import fcntl
import os
import select
import socket
import struct
import sys
import time

MAGIC, VERSION = 0x4F54494C, 2
ADMIT, ADMITTED, REFUSED, STATUS, REPORT, NOTICE, RETURN_RUN = 1, 2, 3, 8, 9, 10, 11
HEADER = struct.Struct("=IHHII")
ADMIT_BODY = struct.Struct("=64sIIII1024s")
ADMITTED_BODY = struct.Struct("=16s16s64sIIIIII16s256s")
ATTACH_BODY = struct.Struct("=16s16sII")
TEXT_BODY = struct.Struct("=1024s")
REPORT_BODY = struct.Struct("=Q")
TOKEN = bytes(range(16))
TPCS = bytes([0x1F]) + bytes(15)
UUID = bytes.fromhex("00112233445566778899aabbccddeeff")
F_ADD_SEALS, SEALS = 1033, 0x2 | 0x4 | 0x8  # shrink, grow, write


def message(kind, body, version=VERSION):
    return HEADER.pack(MAGIC, version, kind, HEADER.size + len(body), 0) + body


def text(kind, words):
    return message(kind, TEXT_BODY.pack(words.encode()))


def cut(field):
    return field.split(b"\0")[0].decode()


class Daemon:
    def __init__(self, args):
        self.args = args
        self.log = open(args.log, "a", buffering=1)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.path.exists(args.socket):
            os.unlink(args.socket)
        self.listener.bind(args.socket)
        self.listener.listen(64)
        self.log.write("listening\n")

    def admitted(self, own, tenant):
        pipe = self.args.mps.encode() if self.args.mps else b""
        return message(ADMITTED, ADMITTED_BODY.pack(
            TOKEN, UUID, tenant, own, 66, self.args.gpus, bool(self.args.mps), own == 0, 0, TPCS,
            pipe))

    def answer(self, peer, how, good):
        """One of the HOWs; `good` is what "ok" sends."""
        if how == "slow":
            time.sleep(2)
        if how in ("ok", "slow", "owner"):
            peer.send(good)
        elif how == "refuse":
            peer.send(text(REFUSED, self.args.text))
        elif how == "garbage":
            peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif how == "version":
            peer.send(good[:4] + struct.pack("=H", 1) + good[6:])
        elif how == "short":
            peer.send(good[:-1])
        elif how == "long":
            peer.send(good + bytes(9000))
        elif how == "close":
            return False
        return True

    def on_admit(self, peer, body):
        tenant, tpcs, percent, priority, _, gpus = ADMIT_BODY.unpack(body)
        self.log.write(f"admit tenant={cut(tenant)} tpcs={tpcs} percent={percent}"
                       f" priority={priority} gpus={cut(gpus)}\n")
        own = tpcs or percent * 66 // 100
        if self.args.admit == "owner":
            own = 5
        good = self.admitted(own, tenant.rstrip(b"\0") or b"nobody")
        if not self.answer(peer, self.args.admit, good):
            return False
        if self.args.notice:
            peer.send(text(NOTICE, self.args.notice))
        return True

    def on_return(self, peer, body):
        token, uuid, flags, line = ATTACH_BODY.unpack(body)
        self.log.write(f"return token={token.hex()} uuid={uuid.hex()} flags={flags} line={line}\n")
        return self.answer(peer, self.args.on_return, self.admitted(5, b"nobody"))

    def on_status(self, peer):
        data = open(self.args.report, "rb").read()
        fd = os.memfd_create("report", os.MFD_ALLOW_SEALING)
        os.write(fd, data)
        if not self.args.unsealed:
            fcntl.fcntl(fd, F_ADD_SEALS, SEALS)
        said = self.args.report_bytes if self.args.report_bytes is not None else len(data)
        socket.send_fds(peer, [message(REPORT, REPORT_BODY.pack(said))], [fd])
        os.close(fd)
        return True

    def on_message(self, peer):
        data = peer.recv(65536)
        if not data:
            return False
        _, _, kind, _, _ = HEADER.unpack(data[:HEADER.size])
        body = data[HEADER.size:]
        if kind == ADMIT:
            return self.on_admit(peer, body)
        if kind == RETURN_RUN:
            return self.on_return(peer, body)
        if kind == STATUS:
            return self.on_status(peer)
        self.log.write(f"unknown {kind}\n")
        return False

    def run(self):
        peers = {}
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self.listener.fileno():
                    peer, _ = self.listener.accept()
                    peers[peer.fileno()] = peer
                    poll.register(peer, select.POLLIN)
                    continue
                try:
                    keep = self.on_message(peers[fd])
                except ConnectionError:
                    keep = False
                if not keep:
                    poll.unregister(fd)
                    peers.pop(fd).close()
                    self.log.write("closed\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("--log", required=True)
    parser.add_argument("--admit", default="ok")
    parser.add_argument("--return", dest="on_return", default="ok")
    parser.add_argument("--text", default="refused by a test")
    parser.add_argument("--notice")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--mps", help="pipe directory; MPS is on")
    parser.add_argument("--report", help="file with the report")
    parser.add_argument("--report-bytes", type=int, help="size to tell instead of the file's")
    parser.add_argument("--unsealed", action="store_true")
    Daemon(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
