"""A web application whose requests make distributed calls: an address per job, and one that says what is left of them."""

import asyncio
import os
import sys
import threading
import time

import uvicorn
from jd_core import distribute
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route


def double(number):
    time.sleep(0.002)
    return 2 * number


async def double_later(number):
    await asyncio.sleep(0.002)
    return 2 * number


functions = {
    "compute": distribute(double, job="compute", workers=2),
    "io": distribute(double, job="io", workers=4),
    "web": distribute(double_later, job="web", workers=20),
    "web-plain": distribute(double, job="web", workers=4),
}


async def all_of(request):
    function = functions[request.path_params["job"]]
    return JSONResponse(await function.aio(range(int(request.query_params["count"]))))


async def one_by_one(request):
    function = functions[request.path_params["job"]]

    async def lines():
        async for result in function.astream(range(int(request.query_params["count"]))):
            yield f"{result}\n"

    return StreamingResponse(lines())


async def left(request):
    names = ("just-distribute-web-", "just-distribute-io-", "just-distribute-aio-")
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]
    return JSONResponse({"tasks": len(asyncio.all_tasks()), "threads": threads, "process": os.getpid()})


routes = [Route("/all/{job}", all_of), Route("/stream/{job}", one_by_one), Route("/left", left)]

if __name__ == "__main__":
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
