"""Live conversations over a WebSocket, by the event names of OpenAI's Realtime API (GA)."""
