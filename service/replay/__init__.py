"""One viewer's channel: commands come in over a WebSocket, pictures and boxes go out."""
