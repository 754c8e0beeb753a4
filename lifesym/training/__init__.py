"""Steps of training: their time, memory and operations, as expressions."""

from lifesym.training.step import TrainingStep, training_step

__all__ = ["TrainingStep", "training_step"]
