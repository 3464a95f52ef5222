"""The games, one final class a file."""

from ganlab.variants.conditional import ConditionalGAN as ConditionalGAN
from ganlab.variants.vanilla import VanillaGAN as VanillaGAN
