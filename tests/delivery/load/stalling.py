"""A server whose stalls are known: `python stalling.py PORT AT FOR`. It answers at once, except that everything stops at
AT seconds after its first request for FOR seconds. It prints a line when it listens."""

import asyncio
import sys

PORT, AT, FOR = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
BODY = b'{"predictions": [1]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
first: list[float] = []


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
            first or first.append(loop.time())
            since = loop.time() - first[0]
            if AT <= since < AT + FOR:
                await asyncio.sleep(AT + FOR - since)
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", PORT)
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(main())
