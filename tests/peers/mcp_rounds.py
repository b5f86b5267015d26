"""A client made of the Python SDK of the Model Context Protocol, second major, that lends its model in 2026-07-28: says
`lending` once it does, and when its input ends, in one line of JSON, what it was asked.

    mcp_rounds.py URL SECONDS

Its model takes SECONDS, and answers `re ` and what it was asked last.
"""

import asyncio
import json
import sys

import mcp.types as types
from mcp import Client, MCPError


class Model:
    """Answers, and counts the rounds: what is asked while nothing else is under way begins one."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.under_way = 0
        self.rounds = []

    async def __call__(self, context, params):
        if not self.under_way:
            self.rounds.append([])
        text = params.messages[-1].content.text
        self.rounds[-1].append(text)
        self.under_way += 1
        await asyncio.sleep(self.seconds)
        self.under_way -= 1
        if "refuse" in text:
            return types.ErrorData(code=-1, message="no")
        content = types.TextContent(type="text", text=f"re {text}")
        return types.CreateMessageResult(role="assistant", content=content, model="python", stopReason="endTurn")


async def lend(client, results):
    while True:
        try:
            result = await client.call_tool("lend_model")
            results.append(result.structured_content)
        except MCPError as error:
            # The SDK lets go of a round whose callback says no.
            results.append(error.error.message)


async def main(url, seconds):
    model, results = Model(float(seconds)), []
    async with Client(url, mode="2026-07-28", sampling_callback=model) as client:
        # The SDK checks results against the tool's output schema, which it has from here.
        await client.list_tools()
        lending = asyncio.create_task(lend(client, results))
        print("lending", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        lending.cancel()
        await asyncio.gather(lending, return_exceptions=True)
    print(json.dumps({"rounds": model.rounds, "results": results}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
