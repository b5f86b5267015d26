"""A server on loopback that says where it is once it accepts."""

import uvicorn

HOST = "127.0.0.1"


class Announcing(uvicorn.Server):
    """Prints its base URL as its first line."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"http://{HOST}:{port}", flush=True)


def serve(app, port=0):
    """Serves until it is ended; without a port it takes a free one."""
    Announcing(uvicorn.Config(app, host=HOST, port=port, log_level="warning")).run()
