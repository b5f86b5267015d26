"""A client made of the Python SDK of the Model Context Protocol, whichever major is installed, that lends its model.

    mcp_lender.py URL NAME DELAY_S standing | mcp_lender.py URL NAME DELAY_S own|all

Every task it is given is answered with `NAME: ` and the task's text, after DELAY_S seconds; a negative DELAY_S is for
ever. Says `ready` once it can be asked, and a line of JSON for each request that comes: how many tasks it holds and
which. Ends, as a client does that takes its leave, when its input does.
"""

import asyncio
import json
import sys
from importlib.metadata import version

import mcp.types as types
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

SECOND = version("mcp").startswith("2.")


def say(what):
    print(what, flush=True)


def text_of(content):
    blocks = content if isinstance(content, list) else [content]
    return "\n".join(block.text for block in blocks)


def tasks_of(params):
    """The tasks of a merged request, or the text of one that is alone."""
    text = text_of(params.messages[-1].content)
    try:
        return [task["messages"][-1]["content"] for task in json.loads(text)["tasks"]], True
    except (ValueError, KeyError, TypeError):
        return [text], False


class Model:
    def __init__(self, name, delay):
        self.name, self.delay = name, delay

    async def sample(self, context, params):
        tasks, merged = tasks_of(params)
        say(json.dumps({"tasks": tasks}))
        try:
            await asyncio.sleep(self.delay if self.delay >= 0 else 3600)
        except asyncio.CancelledError:
            say(json.dumps({"cancelled": tasks}))
            raise
        answers = [f"{self.name}: {task}" for task in tasks]
        text = answers[0]
        if merged:
            text = json.dumps([{"task_index": n, "response": said} for n, said in enumerate(answers)])
        content = types.TextContent(type="text", text=text)
        stop = {"stop_reason": "endTurn"} if SECOND else {"stopReason": "endTurn"}
        return types.CreateMessageResult(role="assistant", content=content, model="a-model", **stop)


async def leave():
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)


async def main(url, name, delay, way):
    model = Model(name, float(delay))
    async with streamable_http_client(url) as streams:
        async with ClientSession(streams[0], streams[1], sampling_callback=model.sample) as session:
            await session.initialize()
            lent = None
            if way != "standing":
                lent = asyncio.create_task(session.call_tool("lend_model", {"scope": way}))
            say("ready")
            await leave()
            if lent:
                lent.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
