"""The tasks a recipe can name: one file each."""

from mingle.training.task import Task
from mingle.training.tasks.audio_vae import AudioVaeTask
from mingle.training.tasks.brush import BrushTask
from mingle.training.tasks.detector import DetectorTask
from mingle.training.tasks.ears import EarsTask
from mingle.training.tasks.eyes import EyesTask
from mingle.training.tasks.image_vae import ImageVaeTask
from mingle.training.tasks.omni import OmniTask
from mingle.training.tasks.prompted_talker import PromptedTalkerTask
from mingle.training.tasks.senses import SensesTask
from mingle.training.tasks.speaker import SpeakerTask
from mingle.training.tasks.talker import TalkerTask
from mingle.training.tasks.text import TextTask
from mingle.training.tasks.tongues import TonguesTask

TASKS: dict[str, type[Task]] = {
    "audio_vae": AudioVaeTask,
    "brush": BrushTask,
    "detector": DetectorTask,
    "ears": EarsTask,
    "eyes": EyesTask,
    "image_vae": ImageVaeTask,
    "omni": OmniTask,
    "prompted_talker": PromptedTalkerTask,
    "senses": SensesTask,
    "speaker": SpeakerTask,
    "talker": TalkerTask,
    "text": TextTask,
    "tongues": TonguesTask,
}
