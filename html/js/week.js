// A timetable as a drawn week.
import { h, svg } from "./ui.js";
import { workBars } from "./strip.js";
import { orderWords } from "./work.js";

export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
export const DAY_NAMES = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const DAY_MINUTES = 24 * 60;

/** Minutes after midnight of a time such as "07:00", or null. */
export function minutesOf(text) {
	const [, hours, minutes] = String(text).match(/^(\d\d):(\d\d)/) ?? [];
	return hours === undefined ? null : 60 * Number(hours) + Number(minutes);
}

const timeOf = (minutes) => `${String(Math.floor(minutes / 60) % 24).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;

/** The entry in force on a weekday (0: Monday) at a minute: the first that fits, or -1. */
function entryAt(entries, day, minute) {
	return entries.findIndex(({ days, from, to }) => {
		const [begin, end] = [minutesOf(from), minutesOf(to)];
		if (begin === null || end === null) return false;
		const over = end <= begin ? end + DAY_MINUTES : end;
		const today = days.includes(DAYS[day]) && begin <= minute && minute < over;
		const yesterday = days.includes(DAYS[(day + 6) % 7]) && minute + DAY_MINUTES < over;
		return today || yesterday;
	});
}

/** Where an entry is in force: [{ from, to, entry }], in minutes. */
function stretches(entries, day) {
	const edges = new Set([0, DAY_MINUTES]);
	entries.forEach(({ from, to }) => [minutesOf(from), minutesOf(to)].forEach((edge) => edge !== null && edges.add(edge)));
	const sorted = [...edges].sort((x, y) => x - y);
	const found = [];
	sorted.slice(0, -1).forEach((from, i) => {
		const entry = entryAt(entries, day, from);
		const last = found.at(-1);
		if (last?.to === from && last.entry === entry) last.to = sorted[i + 1];
		else if (entry >= 0) found.push({ from, to: sorted[i + 1], entry });
	});
	return found;
}

export function weekPicture(pick) {
	const element = h("div", { class: "week" });
	return {
		element,
		show(entries, usual, names, today) {
			element.replaceChildren(...DAYS.map((_, day) => dayRow(entries, usual, names, day, day === today)), hours());
		},
	};

	function dayRow(entries, usual, names, day, isToday) {
		const parts = stretches(entries, day);
		const x = (minute) => (100 * minute) / DAY_MINUTES;
		const picture = svg("svg", { width: "100%", height: "34", "aria-hidden": "true" }, svg("g", { class: "bar-usual" }, ...workBars(usual, 0, 100, 2, 30)));
		for (const { from, to, entry } of parts) {
			const group = svg("g", { class: "bar-entry", "data-entry": entry }, svg("rect", { class: "bar-back", x: `${x(from)}%`, width: `${x(to - from)}%`, y: 2, height: 30 }), ...workBars(entries[entry].work, x(from), x(to - from), 2, 30));
			group.addEventListener("click", () => pick(entry));
			picture.append(group);
		}
		const words = parts.map(({ from, to, entry }) => `${timeOf(from)} to ${timeOf(to)} ${orderWords(entries[entry].work, names)}`).join(", ");
		return h("div", { class: `week-row ${isToday ? "today" : ""}` }, h("span", { class: "week-day", "aria-hidden": "true" }, DAY_NAMES[day].slice(0, 3)), picture, h("span", { class: "sr-only" }, `${DAY_NAMES[day]}: ${words || "usual split"}`));
	}

	function hours() {
		const marks = [0, 6, 12, 18, 24].map((hour) => svg("text", { class: "tick", x: `${(100 * hour) / 24}%`, y: 13, "text-anchor": hour === 0 ? "start" : hour === 24 ? "end" : "middle" }, `${String(hour).padStart(2, "0")}:00`));
		return h("div", { class: "week-row", "aria-hidden": "true" }, h("span", { class: "week-day" }), svg("svg", { width: "100%", height: "18" }, ...marks));
	}
}

/** Entries that others always override. */
export function hiddenEntries(entries) {
	const seen = new Set(DAYS.flatMap((_, day) => stretches(entries, day).map(({ entry }) => entry)));
	return entries.map((_, i) => i).filter((i) => !seen.has(i));
}

