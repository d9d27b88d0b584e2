"""Use a server that runs (`mingle serve`) with the official OpenAI client."""

import sys

from openai import OpenAI

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
client = OpenAI(base_url=address, api_key="none")
model = client.models.list().data[0].id
question = {"role": "user", "content": "What is the capital of France?"}
for chunk in client.chat.completions.create(model=model, messages=[question], stream=True):
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
