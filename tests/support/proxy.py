"""A network between clients and a server, which can be cut in two ways."""

import socket
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Proxy:
    """Passes bytes between clients, over TCP, and a server's Unix socket.

    ``stall`` takes what is sent and passes nothing on, ``cut`` resets what is connected and whoever connects; ``mend``
    ends both.
    """

    def __init__(self, target: Path) -> None:
        """Listen on a free port."""
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._passing = threading.Event()
        self._passing.set()
        self._is_cut = False
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    def stall(self) -> None:
        """Pass nothing on; nobody is told."""
        self._passing.clear()

    def cut(self) -> None:
        """Reset all connections, and those to come."""
        self._is_cut = True
        self._reset()

    def mend(self) -> None:
        """Pass on again."""
        self._is_cut = False
        self._passing.set()

    def __enter__(self) -> Self:
        """Use as a context manager to end it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """End it, and all connections."""
        self.mend()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        self._threads[0].join()
        self._reset()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it was closed
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._target))
            self._sockets += (client, server)
            if self._is_cut:
                self._reset()
                continue
            for source, sink in ((client, server), (server, client)):
                thread = threading.Thread(target=self._pass, args=(source, sink))
                thread.start()
                self._threads.append(thread)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._passing.wait()
                sink.sendall(data)
            self._passing.wait()
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # it was reset
            pass

    def _reset(self) -> None:
        for end in self._sockets:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RDWR)  # wakes who receives
            except OSError:  # the other side has closed it
                pass
            end.close()
        self._sockets.clear()
