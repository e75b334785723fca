// From strokes to what the models were trained on: scikit-learn's digits of 8 x 8 pixels, which fill their square, enlarged
// to 28 x 28 by cubic interpolation (digits_data.py). So strokes are fitted into such a square, covered by a pen of about one
// and a half of its pixels, averaged to 8 x 8 and enlarged likewise.
export const SIDE = 28;
const GRID = 8;
const FINE = 16; // points per side of a pixel of the grid
const PEN = 1.5; // width, in pixels of the grid
const NARROW = 0.8; // a digit's width is at most this part of its height's square

function box(strokes) {
  const xs = strokes.flat().map((p) => p[0]);
  const ys = strokes.flat().map((p) => p[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

// Strokes in pixels of the grid: the height fills it, the middle stays in the middle.
function fitted(strokes) {
  const [left, top, right, bottom] = box(strokes);
  const room = GRID - PEN;
  const scale = room / Math.max(bottom - top, (right - left) / NARROW, 40);
  const middle = [(left + right) / 2, (top + bottom) / 2];
  return strokes.map((stroke) => stroke.map((p) => [GRID / 2 + (p[0] - middle[0]) * scale, GRID / 2 + (p[1] - middle[1]) * scale]));
}

// How much of each pixel of the grid the pen covers, 0 to 1.
function covered(strokes) {
  const canvas = new OffscreenCanvas(GRID * FINE, GRID * FINE);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.lineWidth = PEN * FINE;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of strokes) {
    pen.beginPath();
    pen.moveTo(stroke[0][0] * FINE, stroke[0][1] * FINE);
    for (const p of stroke.length > 1 ? stroke.slice(1) : stroke) pen.lineTo(p[0] * FINE, p[1] * FINE);
    pen.stroke();
  }
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  const sums = new Float64Array(GRID * GRID);
  for (let y = 0; y < canvas.height; ++y) {
    for (let x = 0; x < canvas.width; ++x) {
      sums[Math.floor(y / FINE) * GRID + Math.floor(x / FINE)] += data[4 * (y * canvas.width + x) + 3] / 255;
    }
  }
  return sums.map((sum) => sum / (FINE * FINE));
}

// Catmull-Rom weights of the four neighbours of a place between the second and the third.
function weights(t) {
  return [
    ((2 - t) * t - 1) * t / 2,
    ((3 * t - 5) * t * t + 2) / 2,
    ((4 - 3 * t) * t + 1) * t / 2,
    (t - 1) * t * t / 2,
  ];
}

// The grid's corners stay the image's corners.
function enlarged(grid) {
  const pixels = new Uint8Array(SIDE * SIDE);
  const clip = (i) => Math.min(GRID - 1, Math.max(0, i));
  const at = Array.from({ length: SIDE }, (_, i) => {
    const place = (i * (GRID - 1)) / (SIDE - 1);
    const first = Math.min(Math.floor(place), GRID - 2);
    return { first, w: weights(place - first) };
  });
  for (let y = 0; y < SIDE; ++y) {
    for (let x = 0; x < SIDE; ++x) {
      let value = 0;
      for (let j = 0; j < 4; ++j) {
        for (let i = 0; i < 4; ++i) {
          value += at[y].w[j] * at[x].w[i] * grid[clip(at[y].first + j - 1) * GRID + clip(at[x].first + i - 1)];
        }
      }
      pixels[y * SIDE + x] = Math.min(255, Math.max(0, Math.round(255 * value)));
    }
  }
  return pixels;
}

export function toPixels(strokes) {
  return enlarged(covered(fitted(strokes)));
}
