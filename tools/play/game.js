// The game of two fully connected networks, as ganlab plays it: the same layers, losses, order of turns and Adam.
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import "@tensorflow/tfjs-backend-cpu";

const SLOPE = 0.2; // of leaky rectifiers
const [MOMENTUM, MEMORY, EPSILON] = [0.0, 0.99, 1e-8]; // of Adam, as in ganlab/lecture/play.py

const softplus = (x) => tf.add(tf.relu(x), tf.log1p(tf.exp(tf.neg(tf.abs(x)))));
const square = (x) => tf.mul(x, x);

// The loss of each side per sample, as functions of logits: ganlab/objectives.py.
export const OBJECTIVES = {
  nonsaturating: {
    discriminator: (real, fake) => tf.add(softplus(tf.neg(real)), softplus(fake)),
    generator: (fake) => softplus(tf.neg(fake)),
  },
  minimax: {
    discriminator: (real, fake) => tf.add(softplus(tf.neg(real)), softplus(fake)),
    generator: (fake) => tf.neg(softplus(fake)),
  },
  least_squares: {
    discriminator: (real, fake) => tf.div(tf.add(square(tf.sub(real, 1)), square(fake)), 2),
    generator: (fake) => tf.div(square(tf.sub(fake, 1)), 2),
  },
  hinge: {
    discriminator: (real, fake) => tf.add(tf.relu(tf.sub(1, real)), tf.relu(tf.add(1, fake))),
    generator: (fake) => tf.neg(fake),
  },
};

// A network of linear layers with leaky rectifiers between them. layers: [{weight: (out, in), bias: (out,)}], as in
// PyTorch.
export class Network {
  constructor(layers) {
    this.weights = layers.flatMap(({weight, bias}) => [tf.variable(tf.tensor2d(weight)), tf.variable(tf.tensor1d(bias))]);
    this.moments = this.weights.map((weight) => [tf.zerosLike(weight), tf.zerosLike(weight)]);
    this.steps = 0;
  }

  apply(x) {
    for (let i = 0; i < this.weights.length; i += 2) {
      x = tf.add(tf.matMul(x, this.weights[i], false, true), this.weights[i + 1]);
      if (i + 2 < this.weights.length) x = tf.leakyRelu(x, SLOPE);
    }
    return x;
  }

  // Take one step of Adam on a loss, and return the loss.
  step(loss, rate) {
    const {value, grads} = tf.variableGrads(loss, this.weights);
    this.steps += 1;
    this.weights.forEach((weight, i) => {
      const gradient = grads[weight.name];
      const before = this.moments[i];
      const after = tf.tidy(() => [
        tf.add(tf.mul(before[0], MOMENTUM), tf.mul(gradient, 1 - MOMENTUM)),
        tf.add(tf.mul(before[1], MEMORY), tf.mul(square(gradient), 1 - MEMORY)),
      ]);
      const [first, second] = [1 - MOMENTUM ** this.steps, 1 - MEMORY ** this.steps];
      weight.assign(tf.tidy(() => tf.sub(weight, tf.div(
        tf.mul(after[0], rate / first), tf.add(tf.div(tf.sqrt(after[1]), Math.sqrt(second)), EPSILON),
      ))));
      tf.dispose([gradient, ...before]);
      this.moments[i] = after;
    });
    const number = value.dataSync()[0];
    value.dispose();
    return number;
  }

  values() {
    return this.weights.map((weight) => weight.arraySync());
  }

  dispose() {
    tf.dispose([this.weights, this.moments]);
  }
}

// Return layers with normal weights of variance 2 / ((1 + slope^2) inputs), and zero bias.
export function start(sizes) {
  return sizes.slice(1).map((outputs, i) => {
    const deviation = Math.sqrt(2 / ((1 + SLOPE * SLOPE) * sizes[i]));
    return tf.tidy(() => ({
      weight: tf.randomNormal([outputs, sizes[i]], 0, deviation).arraySync(),
      bias: Array(outputs).fill(0),
    }));
  });
}

export class Game {
  // settings: {objective, rates: {generator, discriminator}, turns: {generator, discriminator}, noise, batch}. They may
  // be changed between iterations.
  constructor(generator, discriminator, latentDim, settings) {
    this.generator = new Network(generator);
    this.discriminator = new Network(discriminator);
    this.latentDim = latentDim;
    this.settings = settings;
    this.iteration = 0;
  }

  // Play one iteration: the discriminator's turns, each on its own reals, then the generator's. draw: {reals(n),
  // latents(n), noise(shape)} give tensors. With one turn each, both sides use the same latents.
  play(draw) {
    const {turns, batch} = this.settings;
    const shared = turns.generator === 1 && turns.discriminator === 1 ? draw.latents(batch) : null;
    const losses = {};
    for (let turn = 0; turn < turns.discriminator; turn++) {
      const [real, latent] = [draw.reals(batch), shared || draw.latents(batch)];
      losses.discriminator = this.turnOfDiscriminator(real, latent, draw);
      tf.dispose([real, shared ? [] : latent]);
    }
    for (let turn = 0; turn < turns.generator; turn++) {
      const latent = shared || draw.latents(batch);
      losses.generator = this.turnOfGenerator(latent, draw);
      if (!shared) latent.dispose();
    }
    if (shared) shared.dispose();
    this.iteration += 1;
    return losses;
  }

  judge(points, draw) {
    const {noise} = this.settings;
    const seen = noise > 0 ? tf.add(points, tf.mul(draw.noise(points.shape), noise)) : points;
    return tf.squeeze(this.discriminator.apply(seen), [1]);
  }

  turnOfDiscriminator(real, latent, draw) {
    const {objective, rates} = this.settings;
    const fake = tf.tidy(() => this.generator.apply(latent));
    const loss = this.discriminator.step(
      () => tf.mean(OBJECTIVES[objective].discriminator(this.judge(real, draw), this.judge(fake, draw))),
      rates.discriminator,
    );
    fake.dispose();
    return loss;
  }

  turnOfGenerator(latent, draw) {
    const {objective, rates} = this.settings;
    return this.generator.step(
      () => tf.mean(OBJECTIVES[objective].generator(this.judge(this.generator.apply(latent), draw))), rates.generator,
    );
  }

  // Return generated points for latents, as rows of numbers.
  sample(latents) {
    return tf.tidy(() => this.generator.apply(latents).arraySync());
  }

  // Return the discriminator's logits of points, as numbers.
  logits(points) {
    return tf.tidy(() => Array.from(this.discriminator.apply(tf.tensor2d(points)).dataSync()));
  }

  dispose() {
    this.generator.dispose();
    this.discriminator.dispose();
  }
}

export {tf};
