"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 50, RIGHT = 10, TOP = 14, BOTTOM = 24;
  const state = { sheet: null, hover: null, smooth: 0 };
  const charts = [];

  const element = (name, parent, attributes = {}) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };
  const colour = (i) => `var(--c${i % 8})`;
  const whole = (x) => Math.round(x).toLocaleString("en-US");
  const short = (x) => {
    const size = Math.abs(x);
    if (size >= 1e6) return `${+(x / 1e6).toPrecision(3)}M`;
    if (size >= 1e4) return `${+(x / 1e3).toPrecision(3)}k`;
    if (size !== 0 && size < 1e-3) return x.toExponential(1);
    return String(+x.toPrecision(3));
  };
  const readout = (y) => (Math.abs(y) >= 1e4 || (y !== 0 && Math.abs(y) < 1e-3) ? y.toExponential(2) : String(+y.toPrecision(4)));

  // Scales ------------------------------------------------------------------------------------------------------

  const ticks = (low, high, count) => {
    const raw = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) || raw;
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
    return found;
  };
  const powers = (low, high) => {
    const found = [];
    for (let i = Math.ceil(low - 1e-9); i <= high + 1e-9; i++) found.push(i);
    return found.length > 1 ? found : ticks(low, high, 4);
  };
  const smoothed = (ys, amount) => {
    let mean = 0, weight = 0;
    return ys.map((y) => {
      mean = amount * mean + (1 - amount) * y;
      weight = amount * weight + (1 - amount);
      return mean / weight;
    });
  };
  const range = (values) => {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
    if (!sorted.length) return [0, 1];
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    let [low, high] = [sorted[0], sorted[sorted.length - 1]];
    const [inner, outer] = [at(0.01), at(0.99)];
    if (sorted.length > 50 && high - outer > 2 * (outer - inner)) high = outer + 0.3 * (outer - inner);
    if (sorted.length > 50 && inner - low > 2 * (outer - inner)) low = inner - 0.3 * (outer - inner);
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    return [low - room, high + room];
  };
  const nearest = (xs, x) => xs.reduce((found, one, i) => (Math.abs(one - x) < Math.abs(xs[found] - x) ? i : found), 0);

  // Charts ------------------------------------------------------------------------------------------------------

  class Chart {
    constructor(place) {
      this.chart = data.charts[Number(place.dataset.chart)];
      this.svg = element("svg", place.querySelector(".plot"), { role: "img", "aria-label": this.chart.title });
      this.hidden = new Set();
      const values = this.chart.lines.flatMap((line) => line.y);
      this.canLog = values.length > 0 && values.every((y) => y > 0);
      this.log = this.canLog && Math.max(...values) / Math.min(...values) > 300;
      const box = place.querySelector(".log");
      if (this.canLog) {
        box.hidden = false;
        box.querySelector("input").checked = this.log;
        box.querySelector("input").addEventListener("change", (event) => { this.log = event.target.checked; this.draw(); });
      }
      this.legend(place.querySelector(".legend"));
      this.svg.addEventListener("pointermove", (event) => hover(this.at(event)));
      this.svg.addEventListener("pointerleave", () => hover(null));
      this.svg.addEventListener("click", (event) => chooseSheet(this.at(event)));
      new ResizeObserver(() => this.draw()).observe(this.svg);
    }
    legend(place) {
      this.values = this.chart.lines.map((line, i) => {
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("aria-pressed", "true");
        const dash = document.createElement("i"), name = document.createElement("span"), value = document.createElement("b");
        dash.style.background = colour(line.colour);
        name.textContent = line.label;
        button.append(dash, name, value);
        button.addEventListener("click", () => {
          if (!this.hidden.delete(i)) this.hidden.add(i);
          button.setAttribute("aria-pressed", String(!this.hidden.has(i)));
          this.draw();
        });
        place.append(button);
        return value;
      });
    }
    at(event) {
      const box = this.svg.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      return this.low + Math.min(1, Math.max(0, share)) * (this.high - this.low);
    }
    x(value) { return LEFT + ((value - this.low) / (this.high - this.low || 1)) * (this.width - LEFT - RIGHT); }
    y(value) {
      const level = this.log ? Math.log10(value) : value;
      return this.height - BOTTOM - ((level - this.bottom) / (this.top - this.bottom || 1)) * (this.height - TOP - BOTTOM);
    }
    draw() {
      const box = this.svg.getBoundingClientRect();
      if (!box.width) return;
      [this.width, this.height] = [box.width, box.height];
      this.svg.replaceChildren();
      const shown = this.chart.lines.filter((_, i) => !this.hidden.has(i));
      const level = (y) => (this.log ? Math.log10(y) : y);
      [this.bottom, this.top] = range(shown.flatMap((line) => line.y.map(level)));
      this.low = Math.min(0, ...this.chart.lines.map((line) => line.x[0]));
      this.high = Math.max(data.end, 1);
      this.axes();
      const clip = `clip${charts.indexOf(this)}`;
      const inside = element("rect", element("clipPath", this.svg, { id: clip }), {});
      for (const [key, value] of Object.entries({ x: LEFT, y: TOP - 4, width: this.width - LEFT - RIGHT + 4, height: this.height - TOP - BOTTOM + 8 }))
        inside.setAttribute(key, value);
      const lines = element("g", this.svg, { "clip-path": `url(#${clip})` });
      this.marks();
      shown.forEach((line) => {
        if (state.smooth > 0 && line.y.length > 8) {
          this.curve(lines, line, line.y, "curve faint");
          this.curve(lines, line, smoothed(line.y, state.smooth), "curve");
        } else this.curve(lines, line, line.y, "curve");
      });
      this.cursors = element("g", this.svg);
      this.point();
    }
    axes() {
      const right = this.width - RIGHT;
      for (const tick of this.log ? powers(this.bottom, this.top) : ticks(this.bottom, this.top, 4)) {
        const value = this.log ? 10 ** tick : tick;
        element("line", this.svg, { class: "grid", x1: LEFT, x2: right, y1: this.y(value), y2: this.y(value) });
        element("text", this.svg, { x: LEFT - 7, y: this.y(value) + 4, "text-anchor": "end" }).textContent = short(Math.abs(value) < 1e-12 ? 0 : value);
      }
      const floor = this.height - BOTTOM;
      element("line", this.svg, { class: "axis", x1: LEFT, x2: right, y1: floor, y2: floor });
      for (const tick of ticks(this.low, this.high, this.width < 300 ? 3 : 5)) {
        const anchor = this.x(tick) > right - 16 ? "end" : "middle";
        element("text", this.svg, { x: this.x(tick), y: floor + 16, "text-anchor": anchor }).textContent = short(tick);
      }
    }
    curve(parent, line, ys, kind) {
      const goesOn = (i) => i > 0 && line.x[i] >= line.x[i - 1]; // a run that went back begins a new stroke
      const points = line.x.map((x, i) => `${goesOn(i) ? "L" : "M"}${this.x(x).toFixed(1)},${this.y(ys[i]).toFixed(1)}`);
      element("path", parent, { class: kind, d: points.join(""), style: `stroke:${colour(line.colour)}` });
      if (points.length < 25 && kind === "curve")
        line.x.forEach((x, i) => element("circle", parent, { cx: this.x(x), cy: this.y(ys[i]), r: 2.2, style: `fill:${colour(line.colour)}` }));
    }
    marks() {
      data.runs.forEach((run) => { if (run.best) this.bestMark(run); });
      data.runs.forEach((run) => run.alarms.forEach((alarm) => this.alarmMark(alarm))); // above, since they can be clicked
    }
    bestMark(run) {
      const x = this.x(run.best.x);
      const own = data.runs.length > 1 ? colour(run.colour) : "var(--best)";
      element("line", this.svg, { class: "best", x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM, style: `stroke:${own}` });
      const mark = element("circle", this.svg, { cx: x, cy: TOP - 5, r: 4, style: `fill:${own}` });
      element("title", mark).textContent = run.best.says;
    }
    alarmMark(alarm) {
      const x = this.x(alarm.x), begin = this.x(alarm.since), height = this.height - BOTTOM - TOP;
      element("rect", this.svg, { class: "since", x: begin, y: TOP, width: Math.max(0, x - begin), height });
      element("line", this.svg, { class: "alarmline", x1: x, x2: x, y1: TOP, y2: TOP + height });
      const shape = `M${x - 7},${TOP - 13}h14l-7,13z`;
      const mark = element("path", this.svg, { class: "alarmmark", d: shape, tabindex: 0, role: "button", "aria-label": alarm.says });
      element("title", mark).textContent = alarm.says;
      const open = (event) => { event.stopPropagation(); enlarge(alarm.src, alarm.says); };
      mark.addEventListener("click", open);
      mark.addEventListener("keydown", (event) => { if (event.key === "Enter") open(event); });
    }
    point() {
      if (!this.cursors) return;
      this.cursors.replaceChildren();
      const floor = this.height - BOTTOM;
      const line = (x, kind) => element("line", this.cursors, { class: kind, x1: this.x(x), x2: this.x(x), y1: TOP, y2: floor });
      if (state.sheet !== null) line(state.sheet, "sheetline");
      if (state.hover !== null) line(state.hover, "hover");
      this.chart.lines.forEach((one, i) => {
        if (!one.x.length) return;
        const place = state.hover === null ? one.x.length - 1 : nearest(one.x, state.hover);
        this.values[i].textContent = readout(one.y[place]);
        if (state.hover !== null && !this.hidden.has(i))
          element("circle", this.cursors, { cx: this.x(one.x[place]), cy: this.y(one.y[place]), r: 3, style: `fill:${colour(one.colour)}` });
      });
    }
  }
  const hover = (x) => { state.hover = x; charts.forEach((chart) => chart.point()); };

  // Sheets ------------------------------------------------------------------------------------------------------

  const slider = document.getElementById("slider");
  const places = [...new Set(data.runs.flatMap((run) => run.sheets.map((sheet) => sheet.x)))].sort((a, b) => a - b);
  const showSheets = () => {
    if (!places.length) return;
    state.sheet = places[Number(slider.value)];
    document.getElementById("seen").textContent = `${whole(state.sheet)} images seen`;
    data.runs.forEach((run, i) => {
      const picture = document.getElementById(`sheet${i}`);
      if (!picture || !run.sheets.length) return;
      const sheet = run.sheets[nearest(run.sheets.map((one) => one.x), state.sheet)];
      picture.src = sheet.src;
      picture.alt = `samples after ${whole(sheet.x)} images seen`;
    });
    charts.forEach((chart) => chart.point());
  };
  const chooseSheet = (x) => { if (places.length) { slider.value = nearest(places, x); showSheets(); } };

  const dialog = document.getElementById("large");
  const enlarge = (src, text) => {
    const picture = dialog.querySelector("img");
    picture.hidden = !src;
    if (src) picture.src = src;
    dialog.querySelector("p").textContent = text || "";
    dialog.showModal();
  };
  dialog.addEventListener("click", () => dialog.close());
  document.querySelectorAll("img[data-large]").forEach((picture) =>
    picture.addEventListener("click", () => enlarge(picture.src, picture.dataset.large || picture.alt)));

  // Controls ----------------------------------------------------------------------------------------------------

  document.querySelectorAll("[data-chart]").forEach((place) => charts.push(new Chart(place)));
  if (slider && places.length) {
    slider.max = places.length - 1;
    slider.value = places.length - 1;
    slider.addEventListener("input", showSheets);
    let timer = null;
    const play = document.getElementById("play");
    play.addEventListener("click", () => {
      if (timer) { clearInterval(timer); timer = null; play.textContent = "Play"; return; }
      play.textContent = "Pause";
      timer = setInterval(() => { slider.value = (Number(slider.value) + 1) % places.length; showSheets(); }, 600);
    });
    showSheets();
  }
  const smoothing = document.getElementById("smoothing");
  if (smoothing) smoothing.addEventListener("input", () => { state.smooth = Number(smoothing.value); charts.forEach((chart) => chart.draw()); });
  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    const select = () => { const all = document.createRange(); all.selectNodeContents(code); getSelection().removeAllRanges(); getSelection().addRange(all); return document.execCommand("copy"); };
    try { await navigator.clipboard.writeText(code.textContent); } catch { select(); }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }));
})();
