// The page: controls, drawing, and the loop. `Game` is exported for the test that compares it with PyTorch.
import {Game, start, tf} from "./game.js";

export {Game, tf};

const WIDTH = 32, LATENT = 4, BATCH = 128;
const SHOWN = 600; // generated points in a drawing
const COLORS = {real: "#1f77b4", fake: "#d62728", judge: "#2ca02c", best: "#999999"};

const normal = (shape) => tf.randomNormal(shape);
const DATA = {
  line: {dims: 1, reals: (n) => tf.tidy(() => tf.add(
    tf.mul(tf.sub(tf.mul(2, tf.floor(tf.mul(2, tf.randomUniform([n, 1])))), 1), 2), tf.mul(0.5, normal([n, 1])),
  ))},
  ring: {dims: 2, reals: (n) => tf.tidy(() => {
    const angle = tf.mul(tf.floor(tf.mul(8, tf.randomUniform([n, 1]))), Math.PI / 4);
    return tf.add(tf.concat([tf.cos(angle), tf.sin(angle)], 1), tf.mul(0.05, normal([n, 2])));
  })},
};

class Page {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.curve = [];
    this.running = false;
    for (const input of root.querySelectorAll("input, select")) {
      input.addEventListener("input", () => this.read(input.name === "data"));
    }
    root.querySelector("[data-do=run]").addEventListener("click", () => this.toggle());
    root.querySelector("[data-do=again]").addEventListener("click", () => this.restart());
    this.restart();
  }

  value(name) {
    return this.root.querySelector(`[name=${name}]`).value;
  }

  // Read the controls. Rates and noise are on a logarithmic slider.
  read(anew) {
    const rate = (name) => 10 ** Number(this.value(name));
    const settings = {
      objective: this.value("objective"),
      rates: {generator: rate("rate_g"), discriminator: rate("rate_d")},
      turns: {generator: Number(this.value("turns_g")), discriminator: Number(this.value("turns_d"))},
      noise: Number(this.value("noise")),
      batch: BATCH,
    };
    for (const output of this.root.querySelectorAll("output")) {
      const raw = this.value(output.htmlFor[0] || output.getAttribute("for"));
      output.value = output.dataset.log ? (10 ** Number(raw)).toPrecision(2) : raw;
    }
    this.settings = settings;
    if (this.game) this.game.settings = settings;
    if (anew) this.restart();
  }

  restart() {
    this.read(false);
    if (this.game) this.game.dispose();
    this.data = DATA[this.value("data")];
    const {dims} = this.data;
    this.game = new Game(start([LATENT, WIDTH, WIDTH, dims]), start([dims, WIDTH, WIDTH, 1]), LATENT, this.settings);
    if (this.latents) tf.dispose([this.latents, this.reals]);
    this.latents = normal([SHOWN, LATENT]);
    this.reals = this.data.reals(SHOWN);
    this.points = this.reals.arraySync();
    this.draw();
  }

  toggle() {
    this.running = !this.running;
    this.root.querySelector("[data-do=run]").textContent = this.running ? "Pause" : "Play";
    if (this.running) this.loop();
  }

  loop() {
    if (!this.running) return;
    const until = performance.now() + 30;
    const draw = {reals: this.data.reals, latents: (n) => normal([n, LATENT]), noise: normal};
    do this.losses = this.game.play(draw); while (performance.now() < until);
    this.draw();
    requestAnimationFrame(() => this.loop());
  }

  draw() {
    const {canvas} = this, scale = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = this.data.dims === 1 ? Math.min(340, width * 0.62) : Math.min(width, 460);
    canvas.style.height = `${height}px`;
    [canvas.width, canvas.height] = [width * scale, height * scale];
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.clearRect(0, 0, width, height);
    const generated = this.game.sample(this.latents);
    (this.data.dims === 1 ? drawLine : drawRing)(pen, width, height, this, generated);
    const losses = this.losses ? `, losses D ${this.losses.discriminator.toFixed(2)}, G ${this.losses.generator.toFixed(2)}` : "";
    this.root.querySelector("[data-show=state]").textContent = `iteration ${this.game.iteration}${losses}`;
  }
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const density = (x) => [-2, 2].reduce((sum, c) => sum + Math.exp(-((x - c) ** 2) / 0.5) / Math.sqrt(2 * Math.PI) / 0.5 / 2, 0);

// D(x) as a probability: least squares has its target at 1 instead of a logit.
const share = (page, logit) => page.settings.objective === "least_squares" ? Math.min(1, Math.max(0, logit)) : sigmoid(logit);

function drawLine(pen, width, height, page, generated) {
  const low = -5, high = 5, bins = 50, size = (high - low) / bins;
  const at = (x, y) => [(x - low) / (high - low) * width, height - 18 - y * (height - 26)];
  const counts = Array(bins).fill(0);
  for (const [x] of generated) if (x >= low && x < high) counts[Math.floor((x - low) / size)] += 1;
  const model = counts.map((count) => count / generated.length / size);
  pen.fillStyle = COLORS.fake + "55";
  model.forEach((value, i) => {
    const [left, top] = at(low + i * size, Math.min(1, value));
    pen.fillRect(left, top, size / (high - low) * width, at(0, 0)[1] - top);
  });
  const grid = Array.from({length: 161}, (_, i) => low + i * (high - low) / 160);
  const logits = page.game.logits(grid.map((x) => [x]));
  curve(pen, grid.map((x) => at(x, density(x))), COLORS.real);
  const best = model.map((q, i) => [low + (i + 0.5) * size, density(low + (i + 0.5) * size), q]).filter(([, p, q]) => p + q > 0.02);
  curve(pen, best.map(([x, p, q]) => at(x, p / (p + q))), COLORS.best, 1);
  curve(pen, grid.map((x, i) => at(x, share(page, logits[i]))), COLORS.judge);
  pen.fillStyle = COLORS.best;
  for (let x = -4; x <= 4; x += 2) pen.fillText(String(x), at(x, 0)[0] - 3, height - 4);
}

function drawRing(pen, width, height, page, generated) {
  const reach = 1.6, side = Math.min(width, height), cells = 32;
  const at = (x, y) => [width / 2 + x / reach * side / 2, height / 2 - y / reach * side / 2];
  const middles = Array.from({length: cells * cells}, (_, i) => [
    -reach + 2 * reach * (i % cells + 0.5) / cells, reach - 2 * reach * (Math.floor(i / cells) + 0.5) / cells,
  ]);
  page.game.logits(middles).forEach((logit, i) => {
    const [x, y] = at(...middles[i]), cell = side / cells;
    pen.fillStyle = `rgba(44, 160, 44, ${0.55 * share(page, logit)})`;
    pen.fillRect(x - cell / 2, y - cell / 2, cell + 0.5, cell + 0.5);
  });
  dots(pen, page.points.map(([x, y]) => at(x, y)), COLORS.real);
  dots(pen, generated.map(([x, y]) => at(x, y)), COLORS.fake);
}

function curve(pen, points, color, width = 2) {
  pen.beginPath();
  points.forEach(([x, y]) => pen.lineTo(x, y));
  [pen.strokeStyle, pen.lineWidth] = [color, width];
  pen.stroke();
}

function dots(pen, points, color) {
  pen.fillStyle = color + "aa";
  for (const [x, y] of points) pen.fillRect(x - 1.2, y - 1.2, 2.4, 2.4);
}

if (typeof document !== "undefined") {
  const begin = () => document.querySelectorAll(".play-game").forEach((root) => new Page(root));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin); else begin();
}
