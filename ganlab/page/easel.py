"""A square to draw on, or to drop a picture on. It works in the browser: the server gets one PNG as a data URL."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ganlab.page.wish import MOST_BYTES

TEMPLATE = """\
<div class="easel"><canvas width="${side}" height="${side}" tabindex="0"></canvas>
<p><button type="button" class="clear">clear</button>
<button type="button" class="open">open a picture</button><input type="file" accept="image/*" hidden></p></div>"""

BEHAVIOUR = """
const canvas = element.querySelector("canvas"), file = element.querySelector("input");
const pen = canvas.getContext("2d", {willReadFrequently: true}), side = canvas.width;
const clear = () => { pen.fillStyle = "white"; pen.fillRect(0, 0, side, side); };
const keep = url => { props.value = url; trigger("input"); };
const show = url => {
  const picture = new Image();
  picture.onload = () => {
    const size = Math.min(picture.width, picture.height);
    clear();
    pen.imageSmoothingQuality = "high";
    const left = (picture.width - size) / 2, top = (picture.height - size) / 2;
    pen.drawImage(picture, left, top, size, size, 0, 0, side, side);
  };
  picture.src = url;
};
const take = one => {
  if (!one) return;
  if (one.size > MOST) { canvas.title = "too large"; return; }
  const reader = new FileReader();
  reader.onload = () => { show(reader.result); keep(reader.result); };
  reader.readAsDataURL(one);
};
clear();
canvas.addEventListener("dragover", event => event.preventDefault());
canvas.addEventListener("drop", event => { event.preventDefault(); take(event.dataTransfer.files[0]); });
file.addEventListener("change", () => take(file.files[0]));
element.querySelector(".open").addEventListener("click", () => file.click());
element.querySelector(".clear").addEventListener("click", () => { clear(); keep(""); });
if (props.draws) {
  let last = null;
  const at = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * side, (event.clientY - box.top) / box.height * side];
  };
  pen.lineCap = pen.lineJoin = "round";
  canvas.style.cursor = "crosshair";
  canvas.style.touchAction = "none";
  canvas.addEventListener("pointerdown", event => { canvas.setPointerCapture(event.pointerId); last = at(event); });
  canvas.addEventListener("pointermove", event => {
    if (!last) return;
    const next = at(event);
    pen.lineWidth = Math.max(1.5, side / 36);
    pen.strokeStyle = "black";
    pen.beginPath();
    pen.moveTo(...last);
    pen.lineTo(...next);
    pen.stroke();
    last = next;
  });
  canvas.addEventListener("pointerup", () => { last = null; keep(canvas.toDataURL("image/png")); });
}
"""


def easel(name: str, side: int, draws: bool) -> Any:
    """Return the component. Its value is a picture as a data URL, or "". side: of the canvas in pixels.

    draws: whether one may draw on it; else pictures are only dropped. A dropped file is passed on as it is.
    """
    return gr.HTML(
        "",
        html_template=TEMPLATE,
        js_on_load=BEHAVIOUR.replace("MOST", str(MOST_BYTES)),
        elem_classes=name,
        side=side,
        draws=draws,
    )
