"""A client made of the Python SDK of the Model Context Protocol, whichever major is installed: goes through what a
client does with the daemon, and says in one line of JSON what it saw.

    mcp_client.py http URL ERA | mcp_client.py stdio ERA PROGRAM ARGUMENT…

ERA is `session`, or `sessionless` for 2026-07-28, which only the second major speaks.
"""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import ClientMessageMetadata

SECOND = version("mcp").startswith("2.")
PROMPT = {"prompt": "hi"}


class Relay:
    """Stands between the client and the daemon, and cuts every connection when it is told to."""

    def __init__(self, url):
        self.target = urlsplit(url)
        self.open = set()
        self.tasks = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.take, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}{self.target.path}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.cut()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def take(self, reader, writer):
        self.tasks.append(asyncio.ensure_future(self.serve(reader, writer)))

    async def serve(self, reader, writer):
        try:
            far = await asyncio.open_connection(self.target.hostname, self.target.port)
        except OSError:
            writer.close()
            return
        self.open |= {writer, far[1]}
        await asyncio.gather(self.pump(reader, far[1]), self.pump(far[0], writer))

    async def pump(self, reader, writer):
        try:
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            self.open.discard(writer)

    def cut(self):
        for writer in list(self.open):
            writer.transport.abort()


@asynccontextmanager
async def session_over(transport):
    async with transport as streams, ClientSession(streams[0], streams[1]) as session:
        yield session


def plain(result):
    """A result as JSON, the same in both majors."""
    return json.loads(result.model_dump_json(by_alias=True, exclude_none=True))


async def generate(session, on_progress, metadata=None):
    request = types.CallToolRequest(
        method="tools/call", params=types.CallToolRequestParams(name="generate", arguments=PROMPT)
    )
    asked = request if SECOND else types.ClientRequest(request)
    result = await session.send_request(
        asked, types.CallToolResult, metadata=metadata, progress_callback=on_progress
    )
    return plain(result)


async def running(session):
    return plain(await session.call_tool("daemon_status"))["structuredContent"]["running"]


async def look_around(session, seen):
    seen["tools"] = [tool.name for tool in (await session.list_tools()).tools]
    resources = plain(await session.list_resources())["resources"]
    seen["resources"] = [resource["uri"] for resource in resources]
    seen["prompts"] = plain(await session.list_prompts())["prompts"]
    uri = "inferd://models"
    read = await session.read_resource(uri if SECOND else types.AnyUrl(uri))
    seen["models"] = json.loads(plain(read)["contents"][0]["text"])["models"]
    wrong = plain(await session.call_tool("generate", {"prompt": "hi", "temperature": 3}))
    seen["wrong"] = [wrong["isError"], wrong["content"][0]["text"]]


async def answer(session, seen):
    shown = []

    async def on_progress(progress, total, message):
        shown.append([progress, message])

    # Checked by the SDK against the tool's output schema.
    result = plain(await session.call_tool("generate", PROMPT, progress_callback=on_progress))
    seen["answer"] = result["structuredContent"]["text"]
    seen["shown"] = shown


async def cancel(session, seen):
    began = asyncio.Event()

    async def on_progress(progress, total, message):
        began.set()

    # The first major numbers its requests and leaves cancelling to its caller.
    number = None if SECOND else session._request_id
    call = asyncio.create_task(generate(session, on_progress))
    await began.wait()
    seen["running"] = await running(session)
    if SECOND:
        call.cancel()
    else:
        params = types.CancelledNotificationParams(requestId=number, reason="enough")
        note = types.CancelledNotification(method="notifications/cancelled", params=params)
        await session.send_notification(types.ClientNotification(note))
    while await running(session):
        await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    seen["cancelled"] = True


async def come_back(session, relay, seen):
    """The connection is cut in the middle of a call; when the call is over its stream is read once more."""
    shown, tokens = [], []

    async def on_progress(progress, total, message):
        shown.append(progress)
        if len(shown) == 3:
            relay.cut()

    async def on_token(token):
        tokens.append(token)

    cut = await generate(session, on_progress, ClientMessageMetadata(on_resumption_token_update=on_token))
    seen["after_cut"] = cut["structuredContent"]["text"]
    seen["shown_once_each"] = shown == sorted(set(shown)) and len(shown) > 3
    again = await generate(session, None, ClientMessageMetadata(resumption_token=tokens[0]))
    seen["read_again"] = again == cut


async def converse(session, relay, seen):
    hello = plain(await session.initialize())
    seen["server"], seen["version"] = hello["serverInfo"]["name"], hello["protocolVersion"]
    await look_around(session, seen)
    await answer(session, seen)
    await cancel(session, seen)
    if relay:
        await come_back(session, relay, seen)


async def without_session(place, seen):
    from mcp import Client

    async with Client(place, mode="2026-07-28") as client:
        seen["version"] = client.protocol_version
        await look_around(client, seen)
        await answer(client, seen)
        await cancel(client.session, seen)


async def main(how, *arguments):
    seen = {}
    if how == "http":
        url, era = arguments
        if era == "sessionless":
            await without_session(url, seen)
        else:
            async with Relay(url) as relay, session_over(streamable_http_client(relay.url)) as session:
                await converse(session, relay, seen)
    else:
        era, program, *rest = arguments
        stdio = stdio_client(StdioServerParameters(command=program, args=rest, env=dict(os.environ)))
        if era == "sessionless":
            await without_session(stdio, seen)
        else:
            async with session_over(stdio) as session:
                await converse(session, None, seen)
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 60))
