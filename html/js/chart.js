// Charts as SVG: stacked areas of the pools with a read-out for pointer and keyboard.
import { day, timeOnly } from "./format.js";
import { h, setText, svg } from "./ui.js";

const MARGIN = { left: 4, right: 56, top: 10, bottom: 24 };

/**
 * A chart of areas stacked on each other.
 * `label`: what it shows. `height` in pixels. `say(point)`: a point in words. `tick(value)`: a value at the axis.
 * `top`: the end of the axis, or null for one that fits the data, which is `least` or more.
 */
export function areaChart({ label, height, say, tick, top = null, least = 0 }) {
	const picture = svg("svg", { class: "chart-svg", height, width: "100%", "aria-hidden": "true" });
	const readout = h("p", { class: "chart-readout" });
	const box = h("div", { class: "chart-box", tabindex: "0", role: "slider", "aria-label": `${label}: read with the arrow keys`, "aria-valuemin": "0", "aria-valuenow": "0" }, picture);
	let data = null;
	let at = null;
	const last = () => (data?.times.length ?? 2) - 2;

	function draw() {
		const width = box.clientWidth;
		if (!data || width === 0) return;
		const scale = makeScale(data, width, height, top, least);
		picture.replaceChildren(outages(data, scale), ...axes(scale, tick), ...cuts(data, scale), ...areas(data, scale), ...marks(data, scale), cursor(data, scale, at));
	}

	function point(index) {
		at = index;
		const spoken = data ? say(at ?? last()) : "";
		setText(readout, spoken);
		box.setAttribute("aria-valuenow", String(at ?? last()));
		box.setAttribute("aria-valuetext", spoken);
		draw();
	}

	const follow = (event) => data && point(indexAt(event, box, data.times));
	box.addEventListener("pointerdown", follow);
	box.addEventListener("pointermove", follow);
	// The value stays readable after the finger is lifted.
	box.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && point(null));
	box.addEventListener("blur", () => point(null));
	box.addEventListener("keydown", (event) => {
		const next = data && steered(event.key, at ?? last(), last());
		if (next === null || next === undefined) return;
		event.preventDefault();
		point(next);
	});
	const observer = new ResizeObserver(draw);
	observer.observe(box);

	return {
		element: h("div", { class: "chart" }, readout, box),
		/**
		 * `next`: { times, series: [{ name, values }], lines: [{ name, values }], down: [[from, to]], cuts: [ms], marks:
		 * [{ at_ms, text }] }. `times`: when each step begins, and when the last one ends.
		 */
		show(next) {
			data = next;
			box.setAttribute("aria-valuemax", String(last()));
			point(at === null ? null : Math.min(at, last()));
		},
		leave: () => observer.disconnect(),
	};
}

function indexAt(event, box, times) {
	const { left, width } = box.getBoundingClientRect();
	const part = (event.clientX - left - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
	const ms = times[0] + part * (times.at(-1) - times[0]);
	return Math.max(0, times.slice(0, -1).findLastIndex((from) => from <= ms));
}

function steered(key, at, last) {
	const page = Math.max(1, Math.round(last / 10));
	const moves = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - page, PageUp: at + page, Home: 0, End: last };
	return key in moves ? Math.min(last, Math.max(0, moves[key])) : null;
}

function makeScale(data, width, height, top, least) {
	const { times } = data;
	const sums = times.map((_, i) => data.series.reduce((sum, s) => sum + (s.values[i] ?? 0), 0));
	const lines = (data.lines ?? []).flatMap((line) => line.values);
	const most = top ?? niceTop(Math.max(...sums, ...lines, least));
	const at = (ms) => MARGIN.left + Math.min(1, (ms - times[0]) / (times.at(-1) - times[0])) * (width - MARGIN.left - MARGIN.right);
	return {
		width,
		height,
		top: most,
		times,
		at,
		x: (i) => at((times[i] + times[i + 1]) / 2),
		y: (value) => height - MARGIN.bottom - (value / most) * (height - MARGIN.top - MARGIN.bottom),
	};
}

/** The next number that divides into even steps. */
function niceTop(value) {
	if (value <= 0) return 1;
	const power = 10 ** Math.floor(Math.log10(value));
	return [1, 1.5, 2, 3, 4, 6, 8, 10].find((step) => value * 1.02 <= step * power) * power || 10 * power;
}

function axes(scale, tick) {
	const parts = [];
	for (const part of [0, 0.5, 1]) {
		const y = scale.y(scale.top * part);
		parts.push(svg("line", { class: "grid", x1: MARGIN.left, x2: scale.width - MARGIN.right, y1: y, y2: y }));
		parts.push(svg("text", { class: "tick", x: scale.width - MARGIN.right + 8, y: y + 4 }, tick(scale.top * part)));
	}
	for (const { x, text, anchor } of timeTicks(scale)) parts.push(svg("text", { class: "tick", x, y: scale.height - 5, "text-anchor": anchor }, text));
	return parts;
}

const MINUTE = 60_000;
const TICK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880].map((minutes) => minutes * MINUTE);

function timeTicks(scale) {
	const { times } = scale;
	const [start, end] = [times[0], times.at(-1)];
	if (!(end > start)) return [];
	const room = Math.max(2, Math.floor(scale.width / 90));
	const step = TICK_STEPS.find((size) => (end - start) / size <= room) ?? TICK_STEPS.at(-1);
	const offset = new Date(start).getTimezoneOffset() * MINUTE;
	const ticks = [{ x: scale.at(end), text: timeOnly(end), anchor: "end" }];
	for (let at = Math.ceil((start - offset) / step) * step + offset; at < end; at += step) {
		const x = scale.at(at);
		if (x < 20 || ticks[0].x - x < 56) continue;
		ticks.push({ x, text: step >= 1440 * MINUTE ? day(at) : timeOnly(at), anchor: "middle" });
	}
	return ticks;
}

/** In one group, so that overlaps are not darker. */
function outages({ down = [] }, scale) {
	const bar = ([from, to]) => svg("rect", { x: scale.at(from), y: MARGIN.top, width: Math.max(1, scale.at(to) - scale.at(from)), height: scale.y(0) - MARGIN.top });
	return svg("g", { class: "outage" }, ...down.map(bar));
}

function cuts({ cuts = [], times }, scale) {
	const seen = cuts.filter((at) => at > times[0]);
	return seen.map((at) => svg("line", { class: "cursor cut", x1: scale.at(at), x2: scale.at(at), y1: MARGIN.top, y2: scale.y(0) }));
}

function marks(data, scale) {
	const { times } = data;
	const seen = (data.marks ?? []).filter(({ at_ms: at }) => at >= times[0]);
	return seen.map(({ at_ms: at, text }) => svg("text", { class: "tick mark", "text-anchor": "middle", x: scale.at(at), y: MARGIN.top + 2 }, text));
}

function areas(data, scale) {
	const base = new Array(data.times.length).fill(0);
	const parts = [];
	for (const { name, values } of data.series) {
		const upper = values.map((v, i) => (v === null ? null : base[i] + v));
		for (const [from, to] of runs(upper)) {
			const line = path(upper, from, to, scale);
			const back = path(base, from, to, scale, true);
			parts.push(svg("path", { class: `area ${name}`, d: `M${line}L${back}Z` }), svg("path", { class: `line ${name}`, d: `M${line}` }));
		}
		values.forEach((v, i) => (base[i] += v ?? 0));
	}
	for (const { name, values } of data.lines ?? []) {
		for (const [from, to] of runs(values)) parts.push(svg("path", { class: `line ${name}`, d: `M${path(values, from, to, scale)}` }));
	}
	return parts;
}

/** Stretches without unknown values, as [first, last]. */
function runs(values) {
	const found = [];
	values.forEach((value, i) => {
		if (value === null) return;
		if (i > 0 && values[i - 1] !== null) found.at(-1)[1] = i;
		else found.push([i, i]);
	});
	return found;
}

function path(values, from, to, scale, backwards = false) {
	const point = (x, i) => `${x.toFixed(1)} ${scale.y(values[i]).toFixed(1)}`;
	const points = [point(scale.at(scale.times[from]), from)];
	for (let i = from; i <= to; i += 1) points.push(point(scale.x(i), i));
	points.push(point(scale.at(scale.times[to + 1]), to));
	return (backwards ? points.reverse() : points).join("L");
}

function cursor(data, scale, at) {
	const group = svg("g", {});
	if (at === null) return group;
	const x = scale.x(at);
	group.append(svg("line", { class: "cursor", x1: x, x2: x, y1: MARGIN.top, y2: scale.height - MARGIN.bottom }));
	let sum = 0;
	for (const { name, values } of data.series) {
		if (values[at] === null) continue;
		sum += values[at];
		group.append(svg("circle", { class: `cursor-dot ${name}`, cx: x, cy: scale.y(sum), r: 4 }));
	}
	return group;
}
