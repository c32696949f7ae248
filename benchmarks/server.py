"""A web server on loopback, in a process of its own: prints its address, and ends when its input does."""

import asyncio
import sys

from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    return web.Response(text=request.path)


async def main() -> None:
    application = web.Application()
    application.router.add_get("/{page}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
