"""The small network that hears whether somebody speaks: Silero VAD, out of its Python wheel."""

from mingle.checkpoints.packages import PackagedFile

VOICE_ACTIVITY = PackagedFile(
    requirement=(
        "silero-vad==6.2.3 "
        "--hash=sha256:7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"
    ),
    member="silero_vad/data/silero_vad_16k_op15.onnx",
    name="silero_vad_16k_op15.onnx",
    sha256="7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    num_bytes=1_289_603,
)
"""MIT licence. The wheel needs torchaudio to be installed; its ONNX file needs onnxruntime only."""
