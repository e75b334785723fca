// Values that an input cannot represent: whole numbers beyond its range are refused, as they are pixels that were not divided or stored
// values without raw: true; reals are clipped as on the device, with a warning if there are many of them.
import { ValueError } from "./errors.js";
import { isWhole } from "./tensors.js";
import { general } from "./text.js";

const MOST_SATURATED = 0.01; // share of the elements that may lie outside without a warning
const BETWEEN = 0.02; // of a step between samples: what float32 reals may be off

const span = (low, high) => `${general(low, 4)} to ${general(high, 4)}`;

/** Smallest and largest real value of an s8 input, null for the other types. */
function acceptedRange(info) {
  if (info.sample !== null) {
    const [scale, offset] = info.sample;
    return [Math.min(offset, 255 * scale + offset), Math.max(offset, 255 * scale + offset)];
  }
  return info.dtype === "s8" ? [(-128 - info.zeroPoint) * info.scale, (127 - info.zeroPoint) * info.scale] : null;
}

function inputRange(info, values) {
  const accepted = acceptedRange(info);
  let [low, high, saturated] = [Infinity, -Infinity, 0];
  const step = Math.abs(info.sample === null ? info.scale : info.sample[0]);
  const [bottom, top] = accepted === null ? [-Infinity, Infinity] : [accepted[0] - step, accepted[1] + step];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
    if (value < bottom || value > top) ++saturated;
  }
  return { low, high, accepted, saturated, share: values.length ? saturated / values.length : 0 };
}

/** Says what is wrong with reals: ValueError for whole numbers that cannot be meant; a text to warn with, or "". */
export function checkMeant(info, { values, dtype }) {
  const whole = isWhole(dtype);
  if (info.dtype === "f32" || (info.dtype === "s1" && !whole) || !values.length) return "";
  const found = inputRange(info, values);
  const pixels = () => {
    const accepted = found.accepted === null ? "" : `, but it represents ${span(...found.accepted)}`;
    return `input ${info} got ${dtype} values ${span(found.low, found.high)}${accepted}`;
  };
  if (whole && found.saturated) throw new ValueError(`${pixels()}; ${remedy(info, dtype)}`);
  if (info.dtype === "s1") {
    if (found.low < 0 || found.high === found.low) return "";
    throw new ValueError(
      `${pixels()}: none is negative, so all of them are +1. ` +
        "Give reals whose sign is meant, as in training: 2 * x - 1 for bits; raw: true for packed words",
    );
  }
  if (found.share <= MOST_SATURATED) return "";
  return (
    `input '${info.name}' got values ${span(found.low, found.high)}, but it represents ${span(...found.accepted)}: ` +
    `${general(100 * found.share, 3)} % of them saturate. Scale them as in training, or export again for their range`
  );
}

function remedy(info, dtype) {
  const stored = `; raw: true for stored values (${info.storedDtype})`;
  if (info.sample !== null) return `give samples as dtype uint8, or reals as in training${stored}`;
  if (dtype === "int8") return `give reals as in training${stored}`;
  return `divide as in training, x / 255 perhaps, or export with --input-u8 1/255 0 and give uint8${stored}`;
}

/** Of an input of raw samples: a text to warn with if reals are not what samples stand for, else "". */
export function checkSamples(info, { values }) {
  const [scale, offset] = info.sample;
  const between = values.some((value) => {
    const exact = (Math.fround(value) - offset) / scale;
    return Math.abs(exact - Math.round(exact)) > BETWEEN;
  });
  if (!between) return "";
  const form = scale === 1 && offset === 0 ? "u" : `${general(scale)} * u ${offset < 0 ? "-" : "+"} ${general(Math.abs(offset))}`;
  return (
    `input '${info.name}' takes raw samples u of 0 to 255, which stand for ${form}; other values are rounded to the ` +
    "nearest. Give values as the model was trained on, or samples as dtype uint8"
  );
}
