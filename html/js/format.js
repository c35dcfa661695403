// Figures for people. Unknown values are null and stay null;
// callers never show them as 0.

const RATE_UNITS = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];
const SCALES = ["", "k", "M", "G", "T", "P", "E"];

/** Made once, because making one is slow. */
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const missing = (value) => value === null || value === undefined || Number.isNaN(value);

function digits(value) {
	const places = value >= 100 ? 0 : value >= 10 ? 1 : 2;
	return value.toFixed(places);
}

function scaled(value, units) {
	let step = 0;
	// 999.5 would be written as 1000 with three digits.
	while (value >= 999.5 && step < units.length - 1) {
		value /= 1000;
		step += 1;
	}
	return [digits(value), units[step]];
}

export function hashrateParts(value) {
	return missing(value) ? null : value === 0 ? ["0", "H/s"] : scaled(value, RATE_UNITS);
}

export function hashrate(value) {
	return hashrateParts(value)?.join(" ") ?? null;
}

/** A difficulty, or any large number: 8,192, 16.4 k, 8.42 G. */
export function large(value) {
	if (missing(value)) return null;
	if (value < 100) return String(Number(value.toPrecision(3)));
	if (value < 10_000) return count(value);
	return scaled(value, SCALES).join(" ");
}

export function count(value) {
	return missing(value) ? null : whole.format(value);
}

/** A part of 1 as percent: 0.7 is "70%". */
export function percent(part, places = 1) {
	return missing(part) ? null : `${trimmed(part * 100, places)}%`;
}

export function trimmed(value, places = 2) {
	return String(Number(value.toFixed(places)));
}

/** Two parts of a whole as a ratio: 0.7 is "70:30". */
export function ratio(shareA, places = 1) {
	return missing(shareA) ? null : `${trimmed(shareA * 100, places)}:${trimmed(100 - shareA * 100, places)}`;
}

export function milliseconds(value) {
	return missing(value) ? null : value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

/** A duration in its two largest units: "3 d 4 h". */
export function duration(seconds) {
	if (missing(seconds)) return null;
	const s = Math.max(0, Math.round(seconds));
	if (s < 60) return `${s} s`;
	if (s < 3600) return s < 600 && s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 60)} min`;
	if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
	return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** In one unit, so that it seldom changes. */
export function ago(atMs, nowMs) {
	if (missing(atMs)) return null;
	const s = Math.max(0, (nowMs - atMs) / 1000);
	if (s < 5) return "just now";
	if (s < 60) return `${Math.floor(s / 5) * 5} s ago`;
	if (s < 3600) return `${Math.floor(s / 60)} min ago`;
	if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
	return `${Math.floor(s / 86_400)} d ago`;
}

const dayOf = (date) => date.toDateString();
const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { day: "numeric", month: "short" };

/** A time of today as "12:03", an earlier one as "24 Nov, 12:03". */
export function clock(atMs, { seconds = false } = {}) {
	if (missing(atMs)) return null;
	const date = new Date(atMs);
	const time = date.toLocaleTimeString("en-GB", seconds ? { ...TIME, second: "2-digit" } : TIME);
	return dayOf(date) === dayOf(new Date()) ? time : `${date.toLocaleDateString("en-GB", DAY)}, ${time}`;
}

export const timeOnly = (atMs) => clock(atMs).split(", ").at(-1);

/** A time to come: "07:00" within 23 hours, "Tue 07:00" within 6 days, else with its date. */
export function upcoming(atMs, nowMs, timeZone = undefined) {
	if (missing(atMs)) return null;
	const date = new Date(atMs);
	const time = date.toLocaleTimeString("en-GB", { ...TIME, timeZone });
	const hours = (atMs - nowMs) / 3_600_000;
	if (hours < 23) return time;
	const front = hours < 144 ? { weekday: "short" } : DAY;
	return `${date.toLocaleDateString("en-GB", { ...front, timeZone })} ${time}`;
}

/** A slot's pool at a time. `pool`: of GET /status. */
export const nameAt = (pool, ms) => pool.former.findLast((it) => it.until_ms > ms)?.name ?? pool.name;
export const namesAt = ({ A, B }, ms) => ({ A: nameAt(A, ms), B: nameAt(B, ms) });

export function day(atMs) {
	return new Date(atMs).toLocaleDateString("en-GB", { weekday: "short", day: "numeric" });
}

/** Reasons with their numbers: "27 stale, 4 duplicate". */
export function reasons(by) {
	return Object.entries(by ?? {})
		.filter(([, n]) => n > 0)
		.sort((x, y) => y[1] - x[1])
		.map(([reason, n]) => `${count(n)} ${words(reason)}`)
		.join(", ");
}

export function words(name) {
	return String(name).replaceAll("_", " ");
}

/** A typed number: 1,234.5 or 0,5. NaN if it is none. */
export function typedNumber(text) {
	const typed = text.trim();
	if (typed === "") return NaN;
	const grouped = /^-?\d{1,3}(,\d{3})+(\.\d+)?$/.test(typed);
	return Number(grouped ? typed.replaceAll(",", "") : typed.replace(",", "."));
}

export function setting(value) {
	if (value === null || value === undefined) return "none";
	if (value === true) return "on";
	if (value === false) return "off";
	if (value === "") return "empty";
	if (Array.isArray(value)) return value.length ? value.join(", ") : "empty";
	return typeof value === "object" ? JSON.stringify(value) : String(value);
}
