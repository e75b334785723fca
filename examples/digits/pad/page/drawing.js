// A canvas that is drawn on with a mouse, a pen or a finger: this page's, and the one on the documentation's site.
import { SIDE } from "./strokes.js";

/** `strokes` in the canvas' pixels; `changed` is called for every new point. */
export function drawingOn(pad, changed) {
  const pen = pad.getContext("2d");
  const drawing = { strokes: [], clear };
  let down = false;

  function place(event) {
    const box = pad.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * pad.width, ((event.clientY - box.top) / box.height) * pad.height];
  }

  function redraw() {
    pen.clearRect(0, 0, pad.width, pad.height);
    pen.lineWidth = 36;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = "#f4f1ea";
    for (const stroke of drawing.strokes) {
      pen.beginPath();
      pen.moveTo(...stroke[0]);
      for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) pen.lineTo(...point);
      pen.stroke();
    }
  }

  function clear() {
    drawing.strokes = [];
    redraw();
  }

  function drawn() {
    redraw();
    changed();
  }

  pad.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    pad.setPointerCapture(event.pointerId);
    down = true;
    drawing.strokes.push([place(event)]);
    drawn();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!down) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) drawing.strokes.at(-1).push(place(one));
    drawn();
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { down = false; });
  return drawing;
}

/** The image that a network gets, SIDE * SIDE bytes, on a canvas of that size. */
export function showSeen(canvas, pixels) {
  const picture = new ImageData(SIDE, SIDE);
  pixels.forEach((value, i) => picture.data.set([value, value, value, 255], 4 * i));
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
