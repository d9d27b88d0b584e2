"""Text: does the trained model still write, token for token, what its base writes?"""

from collections.abc import Sequence

import torch

from mingle.checkpoints import packages
from mingle.checkpoints.gguf import GgufFile
from mingle.checkpoints.nano import BASE, NAME
from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.figure import Ability, Effort, Figure, share
from mingle.evaluation.bench.llama import transformers_llama
from mingle.messages import Finished, Request, SamplingOptions, TextDelta, user

PROMPTS = (
    "What is the capital of France?",
    "What is the capital of Japan?",
    "Name three fruits.",
    "Name two animals that live in the sea.",
    "What is the opposite of hot?",
    "What is the opposite of big?",
    "Write a short poem about the moon.",
    "Write one sentence about spring.",
    "Tell me a joke.",
    "How do I boil an egg?",
    "How do plants make food?",
    "Why is the sky blue?",
    "What is water made of?",
    "What is a mammal?",
    "Who wrote Hamlet?",
    "What is the largest planet?",
    "How many days are in a week?",
    "Count from one to five.",
    "Spell the word apple.",
    "What colour is grass?",
    "Give me a name for a black cat.",
    "Suggest a title for a book about rain.",
    "What should I wear when it snows?",
    "How can I sleep better?",
    "What is a good breakfast?",
    "Explain gravity to a child.",
    "Explain what a computer does.",
    "What is the difference between a lake and a river?",
    "Write an email asking for a day off.",
    "Write a greeting for a birthday card.",
    "Say thank you in a formal way.",
    "What is two plus three?",
    "What comes after Monday?",
    "Which season comes before winter?",
    "Is a whale a fish?",
    "Do birds have feathers?",
    "What do bees make?",
    "Where do penguins live?",
    "What is the boiling point of water?",
    "What language is spoken in Brazil?",
    "Describe a forest in two sentences.",
    "Describe the taste of honey.",
    "Complete the sentence: The old house",
    "Rewrite politely: give me the book.",
    "Summarise: The cat sat on the mat because it was warm.",
    "Translate to French: good morning.",
    "What is photosynthesis?",
    "What does a doctor do?",
    "List the primary colours.",
    "Give one tip for learning to cook.",
)
TOKENS = 32


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """The share of prompts whose greedy answer is the base's own, from transformers' Llama."""
    greedy = SamplingOptions(temperature=0.0)
    requests = [
        Request(messages=(user(prompt),), sampling=greedy, max_new_tokens=TOKENS)
        for prompt in PROMPTS[: effort.of(len(PROMPTS))]
    ]
    wanted = _base_answers(assistant, requests)
    same = [_answer(assistant, r) == base for r, base in zip(requests, wanted, strict=True)]
    value, low, high = share(same)
    return [
        Figure(
            name="answers equal to the base's",
            value=value,
            low=low,
            high=high,
            count=len(same),
            better="higher",
            bar=1.0,
        )
    ]


def _answer(assistant: Assistant, request: Request) -> list[int]:
    tokens: list[int] = []
    for event in assistant.events(request):
        if isinstance(event, TextDelta):
            tokens += event.token_ids
        elif isinstance(event, Finished):
            break
    return tokens


@torch.inference_mode()
def _base_answers(assistant: Assistant, requests: Sequence[Request]) -> list[list[int]]:
    """The base's greedy tokens, without the one that ends a turn."""
    stop = assistant.processor.stop_ids
    base = GgufFile(packages.find(BASE, NAME))
    llama = transformers_llama(base, assistant.model.thinker.config, stop)
    answers = []
    for request in requests:
        ids = torch.from_numpy(assistant.processor.prepare(request).ids)[None]
        mask = torch.ones_like(ids)
        made = llama.generate(ids, attention_mask=mask, max_new_tokens=TOKENS)[0, ids.shape[1] :]
        answers.append([token for token in made.tolist() if token not in stop])
    return answers


ABILITY = Ability(
    name="text",
    title="Text",
    parts=("thinker",),
    data="50 plain prompts, 32 greedy tokens each, against the base in transformers",
    measure=measure,
)
