// The slider that splits the work. Browsers move a range input at the first touch, even when the finger only scrolls
// the page, so touches and the mouse are handled here. Keys and screen readers use the range input, which no pointer
// reaches.
//
// A finger drags only while it moves clearly sideways. With `touch-action: pan-y`, browsers send diagonal swipes here
// instead of scrolling, although their owner may well want to scroll.
import { h } from "./ui.js";

/** As in app.css. */
const THUMB_PX = 36;
const REACH_PX = 8;
/** Less is a tap. */
const DRAG_PX = 10;
/** A drag moves more than this many pixels sideways per pixel up or down. */
const FLAT = 2;
/** This far up or down, a drag is canceled. */
const LEAVE_PX = 40;

/**
 * @param ondrag called with a whole percent while a pointer drags the thumb
 * @param ondrop called when the pointer lets go of the thumb, with `{ byMouse }`
 * @param oncancel called when a drag is canceled: the finger moved up or down, a second finger touched the slider,
 *   or the browser took over the pointer
 */
export function percentSlider({ ondrag, ondrop, oncancel }) {
	const input = h("input", { type: "range", min: "0", max: "100", step: "1", class: "split-slider", "aria-label": "Part of the work for pool A, in percent" });
	const element = h("div", { class: "slider" }, input);
	/** What the pointer does: { id, byMouse, x, y, from, dragging, furthest }, or null. */
	let grip = null;

	const track = () => {
		const { left, width } = input.getBoundingClientRect();
		return { start: left + THUMB_PX / 2, length: Math.max(1, width - THUMB_PX) };
	};
	const thumbX = (percent) => track().start + (track().length * percent) / 100;
	const percentAt = (x) => Math.round(Math.min(100, Math.max(0, (100 * (x - track().start)) / track().length)));

	element.addEventListener("pointerdown", (event) => {
		if (input.disabled || event.button !== 0) return;
		if (grip) return end(oncancel);
		if (!event.isPrimary) return;
		const percent = Number(input.value);
		const byMouse = event.pointerType === "mouse";
		const start = { id: event.pointerId, byMouse, x: event.clientX, y: event.clientY, furthest: 0 };
		if (byMouse) {
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
		const sideways = event.clientX - grip.x;
		if (!grip.byMouse) {
			const [across, upOrDown] = [Math.abs(sideways), Math.abs(event.clientY - grip.y)];
			if (!grip.dragging && Math.max(across, upOrDown) < DRAG_PX) return;
			grip.furthest = Math.max(grip.furthest, across);
			const level = grip.dragging ? upOrDown <= Math.min(LEAVE_PX, Math.max(DRAG_PX, grip.furthest / FLAT)) : across > FLAT * upOrDown;
			if (!level) return end(oncancel);
			grip.dragging = true;
		}
		ondrag(percentAt(thumbX(grip.from) + sideways));
	});

	element.addEventListener("pointerup", (event) => event.pointerId === grip?.id && end(ondrop));
	for (const lost of ["pointercancel", "lostpointercapture"]) {
		element.addEventListener(lost, (event) => event.pointerId === grip?.id && end(oncancel));
	}

	function end(then) {
		const { dragging, byMouse } = grip;
		grip = null;
		if (dragging) then({ byMouse });
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
