"""The games, one final class in each file, and the models without a game that serve as baselines."""

from ganlab.variants.autoencoder import Autoencoder as Autoencoder
from ganlab.variants.autoencoder import VariationalAutoencoder as VariationalAutoencoder
from ganlab.variants.conditional import ConditionalGAN as ConditionalGAN
from ganlab.variants.infogan import InfoGAN as InfoGAN
from ganlab.variants.patchgan import PatchGAN as PatchGAN
from ganlab.variants.stackgan import StackGAN as StackGAN
from ganlab.variants.vaegan import VAEGAN as VAEGAN
from ganlab.variants.vanilla import VanillaGAN as VanillaGAN
