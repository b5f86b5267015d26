"""A real llama.cpp server on loopback over the tiny model; prints its base URL when it answers.

usage: llama_server.py DIRECTORY [PORT]     the model is written to DIRECTORY; without PORT a free one is taken
"""

import pathlib
import sys

import tiny_model
from announcing import HOST, serve
from llama_cpp.server.app import create_app
from llama_cpp.server.settings import ModelSettings, ServerSettings


def main():
    directory = pathlib.Path(sys.argv[1])
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    model = directory / "tiny.gguf"
    tiny_model.write(model)
    app = create_app(
        # A request waits for the one before it, rather than cutting it short.
        server_settings=ServerSettings(host=HOST, port=port, interrupt_requests=False),
        model_settings=[
            ModelSettings(model=str(model), model_alias="tiny", n_threads=1, embedding=True, verbose=False)
        ],
    )
    serve(app, port)


if __name__ == "__main__":
    main()
