// Play the committed bundle with given weights, reals and latents, and print what follows.
import {readFileSync} from "node:fs";
import {runInThisContext} from "node:vm";

runInThisContext(readFileSync(process.argv[2], "utf8") + "; globalThis.ganlabPlay = ganlabPlay;");
const {Game, tf} = globalThis.ganlabPlay;
const given = JSON.parse(readFileSync(0, "utf8"));
const game = new Game(given.generator, given.discriminator, given.latents[0][0].length, given.settings);
const next = (rows) => () => tf.tensor2d(rows.shift());
const draw = {reals: next(given.reals), latents: next(given.latents), noise: next(given.noise)};
const losses = Array.from({length: given.iterations}, () => game.play(draw));
console.log(JSON.stringify({losses, generator: game.generator.values(), discriminator: game.discriminator.values()}));
