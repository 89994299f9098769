"""An agent of Pipecat, of its own parts; it runs in an environment of its own.

Silero VAD and Smart Turn as they come in the wheel, its Whisper service with a folder of weights,
and its services for OpenAI's interface at ``--models`` (``voicebench serve``). It takes calls at
``/ws`` as protocol buffers over a WebSocket, and at ``/api/offer`` over WebRTC. Everything else is
Pipecat's default: its turn strategies, its aggregators, its sentence splitting.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.tts import VALID_VOICES, OpenAITTSService
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.workers.runner import WorkerRunner

# It refuses other names than OpenAI's before it sends them; ours is "default".
VALID_VOICES["default"] = "default"

app = FastAPI()
settings = argparse.Namespace()
offers = SmallWebRTCRequestHandler()
talks: set[asyncio.Task[None]] = set()


class Bot:
    """One call's pipeline."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        stt = WhisperSTTService(
            device="cpu",
            compute_type="int8",
            settings=WhisperSTTService.Settings(model=settings.whisper),
        )
        llm = OpenAILLMService(
            api_key="none",
            base_url=settings.models,
            settings=OpenAILLMService.Settings(model=settings.llm),
        )
        tts = OpenAITTSService(
            api_key="none",
            base_url=settings.models,
            settings=OpenAITTSService.Settings(model=settings.voice, voice="default"),
        )
        ears, mouth = LLMContextAggregatorPair(
            LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
        )
        self._worker = PipelineWorker(
            Pipeline([transport.input(), stt, ears, llm, tts, transport.output(), mouth]),
            params=PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000),
        )

    async def run(self) -> None:
        """Talk until the caller hangs up."""
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)

        @self._transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
        async def on_client_disconnected(_transport: Any, _client: Any) -> None:
            await runner.cancel()

        await runner.run()


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that it is up."""
    return {"status": "ok"}


@app.websocket("/ws")
async def take_socket(socket: WebSocket) -> None:
    """Take a call over a WebSocket."""
    await socket.accept()
    params = FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer()
    )
    await Bot(FastAPIWebsocketTransport(websocket=socket, params=params)).run()


@app.post("/api/offer")
async def take_offer(offer: dict[str, Any]) -> Any:
    """Take a call over WebRTC."""

    async def talk(connection: SmallWebRTCConnection) -> None:
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        bot = Bot(SmallWebRTCTransport(webrtc_connection=connection, params=params))
        task = asyncio.create_task(bot.run())
        talks.add(task)
        task.add_done_callback(talks.discard)

    return await offers.handle_web_request(SmallWebRTCRequest.from_dict(offer), talk)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", required=True, help="base URL of model and voice")
    parser.add_argument("--llm", required=True)
    parser.add_argument("--voice", required=True)
    parser.add_argument("--whisper", required=True, help="folder of the recogniser")
    parser.parse_args(namespace=settings)
    uvicorn.run(app, host="127.0.0.1", port=settings.port, log_level="warning")
