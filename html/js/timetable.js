import * as api from "./api.js";
import { balanceCard } from "./balance.js";
import { changeConfig, mistakes } from "./commands.js";
import { watchStatus, watchSteering } from "./live.js";
import { forecastStrip } from "./strip.js";
import { button, card, debounce, failure, h, icon, loading, notice, pageHead, setText, toast } from "./ui.js";
import { listWords, parsePercent, percentA, remainder, splitWords } from "./work.js";
import { DAY_NAMES, DAYS, hiddenEntries, minutesOf, weekPicture } from "./week.js";
import { trimmed } from "./format.js";

const REST_MS = 400;
const ZONES = Intl.supportedValuesOf?.("timeZone") ?? [];
const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export const timetable = { title: "Timetable", mount };

function mount(host) {
	const body = h("div", {}, loading());
	host.append(pageHead("Timetable", "What your miners do at which time of the week. Outside its entries the usual split holds."), body);
	let page = null;
	let gone = false;
	api.config().then(
		({ config }) => {
			if (gone) return;
			page = editor(config.timetable ?? {});
			body.replaceChildren(page.element);
		},
		(error) => body.replaceChildren(failure(error)),
	);
	return () => {
		gone = true;
		page?.leave();
	};
}

function complete({ enabled = false, time_zone: zone = "", entries = [] }) {
	const copies = entries.map((entry) => ({ ...structuredClone(entry), to: entry.to === "24:00" ? "00:00" : entry.to }));
	return { enabled, time_zone: zone, entries: copies };
}

function editor(saved) {
	let base = complete(saved);
	let draft = complete(saved);
	let names = null;
	let pools = null;
	let steering = null;
	let rows = [];
	const clockNotice = h("div", { class: "notices" });
	const faults = h("div", { class: "notices", "aria-live": "polite" });
	const enabled = h("input", { type: "checkbox", class: "switch", id: "timetable-on", onchange: () => ((draft.enabled = enabled.checked), changed()) });
	const zone = h("input", { type: "text", id: "time-zone", list: "zones", autocomplete: "off", spellcheck: "false", "aria-describedby": "zone-help", oninput: () => ((draft.time_zone = zone.value.trim()), changed()) });
	const zoneHelp = h("p", { class: "note", id: "zone-help" });
	const useZone = button(`Use ${browserZone}`, () => ((zone.value = draft.time_zone = browserZone), changed()), { kind: "small" });
	const week = weekPicture((index) => rows[index]?.focus());
	const list = h("ol", { class: "entries" });
	const hidden = h("p", { class: "note" });
	const strip = forecastStrip("The next 48 hours");
	const off = h("p", { class: "note" }, "The timetable is off. This is what it would do after you turn it on and save.");
	const balance = balanceCard();
	const bar = barOf({ save, discard: () => reset(base) });
	const settings = card(
		"Week",
		{ id: "week", actions: [h("label", { class: "check-line tight", for: "timetable-on" }, enabled, "Use the timetable")] },
		week.element,
		h("div", { class: "zone" }, h("label", { for: "time-zone", class: "label" }, "Time zone"), zone, h("datalist", { id: "zones" }, ...ZONES.map((value) => h("option", { value }))), useZone, zoneHelp),
	);
	const entries = card("Entries", { id: "entries", note: "If several entries fit, the first one counts.", actions: [button("Add entry", add, { image: "plus", kind: "small" })] }, list, hidden);
	const ahead = h("section", { class: "card", "aria-label": "Forecast" }, off, strip.element);
	const element = h("div", { class: "timetable" }, clockNotice, faults, settings, entries, ahead, bar.element, balance.element);

	const same = () => JSON.stringify(base) === JSON.stringify(draft);
	const zoneFits = () => draft.time_zone === "" || zoneUsed() !== undefined;
	const usable = () => zoneFits() && rows.every((row) => row.usable());

	function reset(to) {
		base = to;
		draft = complete(to);
		enabled.checked = draft.enabled;
		zone.value = draft.time_zone;
		faults.replaceChildren();
		rebuild();
		changed();
	}

	function rebuild() {
		rows = names ? draft.entries.map((entry, index) => entryRow(entry, index, draft.entries.length, names, { changed, move, remove })) : [];
		list.replaceChildren(...(rows.length ? rows.map((row) => row.element) : [h("li", { class: "note" }, "No entries yet. Add one, such as Monday to Friday from 22:00 to 06:00.")]));
	}

	function add() {
		draft.entries.push({ days: [...DAYS], from: "22:00", to: "06:00", work: "A" });
		rebuild();
		rows.at(-1).focus();
		changed();
	}

	function move(index, by) {
		const [entry] = draft.entries.splice(index, 1);
		draft.entries.splice(index + by, 0, entry);
		rebuild();
		rows[index + by].focus();
		changed();
	}

	function remove(index) {
		draft.entries.splice(index, 1);
		rebuild();
		(rows[Math.min(index, rows.length - 1)] ?? { focus: () => entries.querySelector("button").focus() }).focus();
		changed();
	}

	function changed() {
		bar.show(!same(), usable());
		off.hidden = draft.enabled;
		const none = hiddenEntries(draft.entries).map((i) => String(i + 1));
		setText(hidden, none.length ? `Never in force, because entries above always go first: entry ${listWords(none)}.` : "");
		draw();
		if (usable()) look();
	}

	function draw() {
		if (!names || !steering) return;
		week.show(draft.entries, steering.usual, names, weekday());
		zone.setAttribute("aria-invalid", String(!zoneFits()));
		useZone.hidden = draft.time_zone === browserZone;
		if (!zoneFits()) setText(zoneHelp, `There is no time zone ${draft.time_zone}. Enter one such as Europe/Berlin.`);
		else setText(zoneHelp, draft.time_zone ? "" : `If empty, DPMP uses its computer's time zone, ${steering.clock.time_zone}.`);
	}

	const zoneUsed = () => {
		const wanted = draft.time_zone || (steering?.clock.time_zone ?? "UTC");
		try {
			new Intl.DateTimeFormat("en", { timeZone: wanted });
			return wanted;
		} catch {
			return undefined;
		}
	};

	/** In the timetable's zone; 0: Monday. */
	function weekday() {
		const name = new Date(steering.clock.now_ms).toLocaleDateString("en", { weekday: "long", timeZone: zoneUsed() });
		return DAY_NAMES.indexOf(name);
	}

	const look = debounce(async () => {
		if (!usable()) return;
		try {
			// Shown before the owner turns it on.
			const { spans } = await api.preview({ timetable: { ...draft, enabled: true } });
			faults.replaceChildren();
			if (names && steering) strip.show(spans, names, steering.clock.now_ms, zoneUsed());
		} catch (error) {
			if (error.code !== "no_answer") showFaults(error);
		}
	}, REST_MS);

	function showFaults(error) {
		faults.replaceChildren(notice("error", "This timetable cannot be used", null, ...mistakes(error).map((text) => h("p", {}, text))));
	}

	async function save() {
		bar.busy(true);
		const before = JSON.stringify(base);
		try {
			await changeConfig((config) => {
				if (JSON.stringify(complete(config.timetable ?? {})) !== before) throw Object.assign(new Error("The timetable was changed elsewhere since this page read it. Reload the page to see it."), { details: [] });
				config.timetable = structuredClone(draft);
			});
			toast(draft.enabled ? "The timetable is saved and in force." : "The timetable is saved. It is off.");
			reset(complete(draft));
		} catch (error) {
			showFaults(error);
			faults.scrollIntoView({ block: "center" });
		}
		bar.busy(false);
	}

	function showClock({ clock }) {
		const text = clock.plausible ? "" : (clock.problem ?? "This computer's clock is wrong.");
		if (clockNotice.textContent.includes(text) && clockNotice.childElementCount > 0 === text.length > 0) return;
		clockNotice.replaceChildren(...(text ? [notice("warning", "The timetable waits", `${text} Set the clock of the computer that DPMP runs on.`)] : []));
	}

	const show = () => {
		if (!names || !steering) return;
		showClock(steering);
		balance.show(steering, names, pools);
		if (rows.length !== draft.entries.length) reset(base);
		draw();
	};
	const stopStatus = watchStatus((status) => {
		pools = status.pools;
		const next = { A: pools.A.name, B: pools.B.name };
		const renamed = names && JSON.stringify(names) !== JSON.stringify(next);
		names = next;
		if (renamed) rebuild();
		show();
	});
	let first = true;
	const stopSteering = watchSteering((now) => {
		steering = now;
		if (first) look();
		first = false;
		show();
	});
	reset(base);
	return {
		element,
		leave() {
			balance.leave();
			look.cancel();
			stopStatus();
			stopSteering();
		},
	};
}

function entryRow(entry, index, length, names, { changed, move, remove }) {
	const number = `Entry ${index + 1}`;
	const toggles = DAYS.map((day, i) => h("button", { type: "button", class: "day", "aria-pressed": String(entry.days.includes(day)), onclick: () => toggle(day) }, h("span", { "aria-hidden": "true" }, DAY_NAMES[i].slice(0, 2)), h("span", { class: "sr-only" }, DAY_NAMES[i])));
	const from = timeInput("from");
	const to = timeInput("to");
	const a = percentA(entry.work);
	const kind = a === null ? "pause" : a === 100 ? "A" : a === 0 ? "B" : "split";
	const work = h("select", { id: `entry-${index}-work`, onchange: workChanged }, ...[["A", `All to ${names.A}`], ["B", `All to ${names.B}`], ["split", "A split"], ["pause", "Pause"]].map(([value, text]) => h("option", { value }, text)));
	work.value = kind;
	const percent = h("input", { type: "text", inputmode: "decimal", class: "percent-field pool-a-edge", autocomplete: "off", maxlength: "10", "aria-label": `${number}: percent for ${names.A}`, value: kind === "split" ? trimmed(a) : "50", oninput: workChanged });
	const split = h("div", { class: "with-unit" }, percent, h("span", { class: "note" }, `% to ${names.A}`));
	const error = h("p", { class: "field-error", role: "alert" });
	const nextDay = h("span", { class: "note" });
	const small = (label, image, run) => h("button", { type: "button", class: "ghost icon-only", "aria-label": `${label} entry ${index + 1}`, title: label, onclick: run }, icon(image));

	function timeInput(key) {
		const input = h("input", { type: "time", id: `entry-${index}-${key}`, value: entry[key] });
		input.addEventListener("input", () => {
			if (input.value) entry[key] = input.value.slice(0, 5);
			check();
			changed();
		});
		return input;
	}

	function toggle(day) {
		const has = entry.days.includes(day);
		entry.days = DAYS.filter((it) => (it === day ? !has : entry.days.includes(it)));
		toggles.forEach((it, i) => it.setAttribute("aria-pressed", String(entry.days.includes(DAYS[i]))));
		check();
		changed();
	}

	function workChanged() {
		split.hidden = work.value !== "split";
		const part = parsePercent(percent.value);
		if (work.value !== "split") entry.work = work.value;
		else if (part !== null) entry.work = { A: part, B: remainder(part) };
		check();
		changed();
	}

	const problem = () => {
		if (entry.days.length === 0) return "Choose at least one day.";
		if (!from.value || !to.value) return "Enter both times, such as 22:00 and 06:00.";
		if (work.value === "split" && parsePercent(percent.value) === null) return "Enter a number from 0 to 100.";
		return "";
	};

	function check() {
		setText(error, problem());
		const [begin, end] = [minutesOf(entry.from), minutesOf(entry.to)];
		setText(nextDay, begin === end ? "24 hours" : end > 0 && end < begin ? "next day" : "");
	}

	split.hidden = kind !== "split";
	check();
	const element = h(
		"li",
		{ class: "entry" },
		h("div", { class: "entry-head" }, h("h3", {}, number), h("div", { class: "actions" }, index > 0 && small("Move up", "up", () => move(index, -1)), index < length - 1 && small("Move down", "down", () => move(index, 1)), small("Delete", "trash", () => remove(index)))),
		h("div", { class: "days", role: "group", "aria-label": `${number}: days on which it begins` }, ...toggles),
		h("div", { class: "entry-line" }, h("label", { for: `entry-${index}-from` }, "From"), from, h("label", { for: `entry-${index}-to` }, "to"), to, nextDay),
		h("div", { class: "entry-line" }, h("label", { for: `entry-${index}-work` }, "Work"), work, split),
		error,
	);
	return { element, usable: () => problem() === "", focus: () => (element.scrollIntoView({ block: "nearest" }), toggles[0].focus()) };
}

function barOf({ save, discard }) {
	const text = h("p", { role: "status" });
	const keep = button("Save", save, { kind: "primary" });
	const element = h("div", { class: "save-bar", hidden: true }, text, h("div", { class: "actions" }, button("Discard", discard, { kind: "ghost" }), keep));
	return {
		element,
		show(dirty, usable) {
			element.hidden = !dirty;
			keep.disabled = !usable;
			setText(text, usable ? "Not saved yet" : "Something cannot be used yet; see its message.");
		},
		busy: (on) => (keep.disabled = on),
	};
}
