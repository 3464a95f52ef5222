// Play the committed bundle with given weights, reals and latents, and print what follows. It runs in a context of its
// own that looks like a browser, since TensorFlow.js would ask Node for modules that the bundle does not have.
import {readFileSync} from "node:fs";
import {createContext, runInContext} from "node:vm";

const context = createContext({TextEncoder, TextDecoder, console, performance, setTimeout, window: {document: {}}});
runInContext(readFileSync(process.argv[2], "utf8"), context);
context.text = readFileSync(0, "utf8");
runInContext(`{
  const {Game, tf} = ganlabPlay;
  const given = JSON.parse(text);
  const game = new Game(given.generator, given.discriminator, given.latents[0][0].length, given.settings);
  const next = (rows) => () => tf.tensor2d(rows.shift());
  const draw = {reals: next(given.reals), latents: next(given.latents), noise: next(given.noise)};
  const losses = Array.from({length: given.iterations}, () => game.play(draw));
  console.log(JSON.stringify({losses, generator: game.generator.values(), discriminator: game.discriminator.values()}));
}`, context);
