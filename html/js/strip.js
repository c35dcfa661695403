// A forecast as a bar and in words.
import { upcoming } from "./format.js";
import { h, svg } from "./ui.js";
import { orderWords, percentA, sourceWords } from "./work.js";

const HOUR = 3_600_000;

/** Pool A's part below B's, or hatched for a pause, in percent of the width. */
export function workBars(work, x, width, top, height) {
	const a = percentA(work);
	const place = { x: `${x}%`, width: `${width}%` };
	if (a === null) return [svg("rect", { class: "bar-pause", ...place, y: top, height })];
	const part = (height * a) / 100;
	return [a > 0 && svg("rect", { class: "bar-a", ...place, y: top, height: part }), a < 100 && svg("rect", { class: "bar-b", ...place, y: top + part, height: height - part })].filter(Boolean);
}

export function forecastStrip(label) {
	const picture = svg("svg", { class: "strip", width: "100%", height: "58", "aria-hidden": "true" });
	const list = h("ol", { class: "strip-list" });
	return {
		element: h("figure", { class: "forecast", "aria-label": label }, h("figcaption", { class: "label" }, label), picture, list),
		show(spans, names, nowMs, timeZone) {
			if (spans.length === 0) return;
			const [start, end] = [spans[0].from_ms, spans.at(-1).to_ms];
			const x = (at) => (100 * (at - start)) / (end - start);
			const bars = spans.flatMap((it) => workBars(it.work, x(it.from_ms), x(it.to_ms) - x(it.from_ms), 4, 30));
			picture.replaceChildren(...bars, ...ticks(start, end, timeZone).flatMap(({ at, text }) => [svg("line", { class: "grid", x1: `${x(at)}%`, x2: `${x(at)}%`, y1: 4, y2: 38 }), svg("text", { class: "tick", x: `${x(at)}%`, y: 53, "text-anchor": "middle" }, text)]));
			list.replaceChildren(...spans.slice(0, 12).map((it, i) => h("li", {}, h("span", {}, i === 0 ? "Now" : upcoming(it.from_ms, nowMs, timeZone)), " ", h("strong", {}, orderWords(it.work, names, "Paused")), " ", h("span", { class: "note" }, `(${sourceWords(it.source)})`))));
		},
	};
}

/** Every twelfth hour of a zone's clock, with room at the edges. */
function ticks(start, end, timeZone) {
	const found = [];
	for (let at = Math.ceil(start / (HOUR / 4)) * (HOUR / 4); at < end; at += HOUR / 4) {
		const [hour, minute] = new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone }).split(":");
		const inside = at - start > 3 * HOUR && end - at > 3 * HOUR;
		if (!inside || minute !== "00" || Number(hour) % 6 !== 0) continue;
		found.push({ at, text: hour === "00" ? new Date(at).toLocaleDateString("en-GB", { weekday: "short", timeZone }) : `${hour}:00` });
	}
	return found;
}
