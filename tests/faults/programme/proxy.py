"""A TCP proxy whose connections can be cut and held, and whose target can change."""

import asyncio
import threading

from .surroundings import free_port


class Proxy:
    def __init__(self, target_port):
        self.target_port, self.port = target_port, free_port()
        self.cut_connections = 0
        self._open = set()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()
        self.release()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        self._thread.join()

    def cut(self):
        """Resets all connections."""
        self._do(self._cut_all)

    def hold(self):
        """Passes nothing on, in either direction."""
        self._do(self._flows.clear)

    def release(self):
        self._do(self._flows.set)

    def _do(self, step):
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (step(), done.set()))
        done.wait()

    async def _end(self):
        self._listener.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._loop.stop()

    def _cut_all(self):
        for writer in list(self._open):
            self.cut_connections += 1
            writer.transport.abort()

    def _serve(self, ready):
        asyncio.set_event_loop(self._loop)
        self._listener = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", self.port))
        ready.set()
        self._loop.run_forever()
        self._loop.close()

    async def _connect(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        try:
            await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open -= {writer, far_writer}
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pass_on(self, reader, writer):
        while piece := await reader.read(65536):
            await self._flows.wait()
            writer.write(piece)
            await writer.drain()
        if not writer.transport.is_closing():
            writer.write_eof()
