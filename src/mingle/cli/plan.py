"""`mingle plan train`: what training a model on a cluster takes, computed."""

import argparse

from mingle.cli import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to plan, for which model, on what."""
    parser.add_argument("what", choices=["train"], help="train: memory, traffic and MFU")
    parser.add_argument("--model", default="flash-omni-2", help="default: flash-omni-2")
    parser.add_argument("--gpus", type=int, default=64, help="how many in all (default: 64)")
    parser.add_argument("--gpu", default="h100", help="h100, h200 or a100 (default: h100)")
    parser.add_argument(
        "--tokens", type=int, default=8192, help="packed tokens a GPU and step (default: 8192)"
    )
    parser.add_argument(
        "--length", type=int, default=4096, help="mean length of a sequence (default: 4096)"
    )


def run(args: argparse.Namespace) -> None:
    """Print the splits, the fastest that fits first."""
    from mingle.training.plan import Load, plan

    load = Load(tokens=args.tokens, length=args.length)
    found = plan(args.model, args.gpu, gpus=args.gpus, load=load)
    if args.json:
        print_json(found)
        return
    print(
        f"{found['model']}: {found['parameters'] / 1e9:.1f} B parameters, "
        f"{found['active_parameters'] / 1e9:.2f} B used by a token; {args.gpus} x {args.gpu}, "
        f"{args.tokens} tokens each in sequences of {args.length} (computed, not measured)"
    )
    print("experts over  GiB a rank  fits  gathered GB  all-to-all GB  step s  MFU  tokens/s")
    for one in found["plans"]:
        print(
            f"{one['expert_ranks']:12d}  {one['memory_gib']:10.1f}  "
            f"{'yes' if one['fits'] else 'no':>4}  {one['gather_gb']:11.1f}  "
            f"{one['all_to_all_gb']:13.1f}  {one['step_s']:6.2f}  {100 * one['mfu']:2.0f}%  "
            f"{one['tokens_per_s']:8.0f}"
        )
