"""Perturbations of the discriminator's input images, one kind in each file. Plain torch."""

from ganlab.perturbations.adaptive import AdaptiveAugmentation as AdaptiveAugmentation
from ganlab.perturbations.base import Perturbation as Perturbation
from ganlab.perturbations.diffaugment import DiffAugment as DiffAugment
from ganlab.perturbations.noise import InstanceNoise as InstanceNoise
from ganlab.perturbations.scheduled import ScheduledAugmentation as ScheduledAugmentation
