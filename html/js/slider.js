// The slider that splits the work. Browsers move a range input at the first touch, even when the finger only scrolls
// the page, so touches and the mouse are handled here. Keys and screen readers use the range input, which no pointer
// reaches.
import { h } from "./ui.js";

/** Width of the thumb in pixels, as in app.css. */
const THUMB_PX = 36;
/** A finger on the thumb may miss it by this many pixels. */
const REACH_PX = 8;
/** A finger has to move sideways by this many pixels before it drags; less is a tap. */
const DRAG_PX = 8;

/**
 * @param ondrag called with a whole percent while a pointer drags the thumb
 * @param ondrop called when the pointer lets go of the thumb
 * @param oncancel called when the browser takes the pointer away, for example to scroll the page
 */
export function percentSlider({ ondrag, ondrop, oncancel }) {
  const input = h("input", { type: "range", min: "0", max: "100", step: "1", class: "split-slider", "aria-label": "Part of the work for pool A, in percent" });
  const element = h("div", { class: "slider" }, input);
  /** What the pointer does: { id, x, y, from, dragging }, or null. */
  let grip = null;

  const track = () => {
    const { left, width } = input.getBoundingClientRect();
    return { start: left + THUMB_PX / 2, length: Math.max(1, width - THUMB_PX) };
  };
  const thumbX = (percent) => track().start + (track().length * percent) / 100;
  const percentAt = (x) => Math.round(Math.min(100, Math.max(0, (100 * (x - track().start)) / track().length)));

  element.addEventListener("pointerdown", (event) => {
    if (input.disabled || event.button !== 0) return;
    // A second finger pinches or scrolls.
    if (grip) return end(oncancel);
    const percent = Number(input.value);
    const start = { id: event.pointerId, x: event.clientX, y: event.clientY };
    if (event.pointerType === "mouse") {
      event.preventDefault();
      const onThumb = Math.abs(event.clientX - thumbX(percent)) <= THUMB_PX / 2;
      grip = { ...start, from: onThumb ? percent : percentAt(event.clientX), dragging: true };
      element.setPointerCapture(event.pointerId);
      ondrag(grip.from);
    } else if (Math.abs(event.clientX - thumbX(percent)) <= THUMB_PX / 2 + REACH_PX) {
      grip = { ...start, from: percent, dragging: false };
    }
  });

  element.addEventListener("pointermove", (event) => {
    if (event.pointerId !== grip?.id) return;
    const [sideways, along] = [event.clientX - grip.x, event.clientY - grip.y];
    if (!grip.dragging) {
      if (Math.max(Math.abs(sideways), Math.abs(along)) < DRAG_PX) return;
      if (Math.abs(along) >= Math.abs(sideways)) return (grip = null);
      grip.dragging = true;
    }
    ondrag(percentAt(thumbX(grip.from) + sideways));
  });

  element.addEventListener("pointerup", (event) => event.pointerId === grip?.id && end(ondrop));
  for (const lost of ["pointercancel", "lostpointercapture"]) {
    element.addEventListener(lost, (event) => event.pointerId === grip?.id && end(oncancel));
  }

  function end(then) {
    const { dragging } = grip;
    grip = null;
    if (dragging) then();
  }

  return {
    element,
    input,
    show(percent, words) {
      input.value = percent;
      input.style.setProperty("--share", `${percent}%`);
      input.setAttribute("aria-valuetext", words);
    },
  };
}
