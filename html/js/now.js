// Home's temporary changes: what is in force, what comes next, and the buttons.
import * as api from "./api.js";
import { changeConfig, changeForAll, command, endTemporary, endWords, isForAll, setTemporary } from "./commands.js";
import { upcoming } from "./format.js";
import { button, h, icon, openDialog, setText } from "./ui.js";
import { counted, listWords, nextTime, orderWords, percentA, shownName, sourceWords, SPANS, splitWords } from "./work.js";

const FORECAST_MS = 60_000;
const MOST = 4;

/**
 * What holds in general now, and when the usual split holds again: { work, source, untilMs, againMs, next }, or null
 * while the usual split is in force. `spans`: of POST /steering/preview.
 */
export function inForce(steering, spans) {
	const [now, next] = spans;
	if (!now || now.source === "usual" || now.source === "balance") return null;
	const again = spans.find(({ source }) => source === "usual" || source === "balance");
	const forAll = changeForAll(steering);
	const untilMs = now.source === "override" ? (forAll?.until_ms ?? null) : next ? now.to_ms : null;
	return { work: now.work, source: now.source, untilMs, againMs: again?.from_ms ?? null };
}

/**
 * Why nobody mines, if all workers are paused and gone: "All miners are paused by a temporary change until 07:00".
 * `force`: of `inForce`, or null.
 */
export function pausedWords({ workers, clock }, force) {
	if (workers.some((it) => it.connected > 0 || it.work !== "pause")) return null;
	if (force?.work === "pause") return `All miners are paused by ${force.source === "timetable" ? "the timetable" : "a temporary change"} ${endWords(force.untilMs, clock.now_ms)}`;
	return workers.length ? "All miners are paused by their own settings" : null;
}

export function forecast(show) {
	let asked = "";
	let askedMs = 0;
	let running = true;
	return {
		async look({ usual, overrides, timetable, balance, clock }) {
			const key = JSON.stringify([usual, overrides, timetable, balance.shift, clock.plausible]);
			if (key === asked && Math.abs(clock.now_ms - askedMs) < FORECAST_MS) return;
			[asked, askedMs] = [key, clock.now_ms];
			try {
				const { spans } = await api.preview({});
				if (running && key === asked) show(spans);
			} catch {
				asked = "";
			}
		},
		leave: () => (running = false),
	};
}

/** A line for each thing that is in force instead of the usual split. */
export function nowStrip() {
	const lines = h("ul", { class: "now-lines" });
	const element = h("section", { class: "now", "aria-label": "In force now", hidden: true }, lines);
	let shown = "";
	let latest = [];
	return {
		element,
		show(steering, spans, names) {
			latest = linesOf(steering, spans, names);
			element.hidden = latest.length === 0;
			// Rebuilt only after changes, so that the focus stays.
			const key = JSON.stringify(latest);
			if (key === shown) return;
			shown = key;
			lines.replaceChildren(...latest.map(row));
		},
	};

	function row({ image, title, note, back, main }, index) {
		return h(
			"li",
			{ class: main ? "now-main" : "" },
			icon(image),
			h("div", { class: "now-text" }, h("p", { class: "now-title" }, title), note && h("p", { class: "note" }, note)),
			back && button(back, () => latest[index]?.run(), { kind: "small" }),
		);
	}
}

function linesOf(steering, spans, names) {
	const now = steering.clock.now_ms;
	const usual = splitWords(steering.usual);
	const force = inForce(steering, spans);
	const next = nextWords(spans, names, now);
	const all = changeForAll(steering);
	const list = [];
	if (!steering.clock.plausible) {
		const why = steering.clock.problem ?? "This computer's clock is wrong. The timetable and the ends of temporary changes wait.";
		list.push({ image: "warning", title: why, note: "Set the clock of this computer." });
	}
	if (all) {
		const back = steering.timetable.work ? `Back to the timetable now${steering.timetable.work === "pause" ? ", which pauses all" : ""}` : `Back to ${usual} now`;
		const run = () => endTemporary(all, steering, steering.timetable.work ? "The timetable is in force again." : `The usual split ${usual} is in force again.`);
		list.push({ main: true, image: "timetable", title: `${orderWords(all.work, names, "Paused")} ${endWords(all.until_ms, now)}`, note: ["Temporary change", next].filter(Boolean).join(" · "), back, run });
	} else if (force) {
		const until = force.untilMs === null ? "" : ` until ${upcoming(force.untilMs, now)}`;
		const run = () => setTemporary({ work: steering.usual, workers: ["*"], end: { until_ms: force.untilMs } }, steering, names);
		list.push({ main: true, image: "timetable", title: `${orderWords(force.work, names, "Paused")}${until}`, note: ["Timetable", next].filter(Boolean).join(" · "), back: until ? `Use ${usual}${until}` : `Use ${usual} now`, run });
	} else if (next) {
		list.push({ image: "timetable", title: next, note: null });
	}
	const [shift, a] = [steering.balance.shift, percentA(steering.usual)];
	if (steering.balance.enabled && shift && !all && !force) list.push({ image: "swap", title: `Balance moves the split to ${splitWords({ A: a + shift, B: 100 - a - shift })}`, note: `Usual split ${usual}` });
	const some = steering.overrides.filter((change) => !isForAll(change));
	for (const change of some.slice(0, MOST)) {
		const whom = listWords(change.workers.map((worker) => shownName(steering.workers.find((it) => it.worker === worker) ?? { worker })));
		list.push({ image: "miners", title: `${whom}: ${orderWords(change.work, names, "Paused")} ${endWords(change.until_ms, now)}`, note: null, back: "End now", run: () => endTemporary(change, steering, `The change for ${whom} has ended.`) });
	}
	if (some.length > MOST) list.push({ image: "miners", title: `${counted(some.length - MOST, "more temporary change")}; see Miners`, note: null });
	return list;
}

/** "Next: 70:30 (usual split) at 07:00". */
function nextWords(spans, names, nowMs) {
	const next = spans[1];
	if (!next) return null;
	const work = percentA(next.work) === null ? "pause" : orderWords(next.work, names).replace(/^All/, "all");
	return `Next: ${work} (${sourceWords(next.source)}) at ${upcoming(next.from_ms, nowMs)}`;
}

export function temporaryButtons() {
	let state = null;
	const buttons = { A: button("", () => ask("A")), B: button("", () => ask("B")), pause: button("Pause", () => ask("pause"), { image: "pause" }) };
	const note = h("p", { class: "note" });
	const ask = (work) => state && temporaryDialog(work, state.steering, state.names);
	const element = h("div", { class: "temporary", hidden: true }, h("h2", { class: "eyebrow" }, "For a while"), h("div", { class: "actions" }, ...Object.values(buttons)), note);
	return {
		element,
		show(steering, names) {
			element.hidden = false;
			state = { steering, names };
			for (const pool of ["A", "B"]) setText(buttons[pool].querySelector("span"), orderWords(pool, names));
			setText(note, stayWords(steering));
		},
	};
}

const ownWork = (steering) => steering.workers.filter((it) => it.own !== null);
const groupWork = (steering) => steering.workers.filter((it) => it.own === null && it.source === "group");

/** "2 workers have their own settings and only follow Pause." A pause holds whatever else is set. */
function stayWords(steering) {
	const stay = ownWork(steering).length + groupWork(steering).length;
	const words = stay === 1 ? "has its own setting and only follows Pause." : "have their own settings and only follow Pause.";
	return stay === 0 ? "" : `${counted(stay, "worker")} ${words}`;
}

const freeGroups = (groups) => command(() => changeConfig((config) => (config.groups ?? []).filter((it) => groups.includes(it.name)).forEach((it) => delete it.work)));

/** Asks for how long. The answer applies the change. */
function temporaryDialog(work, steering, names) {
	const now = steering.clock.now_ms;
	const own = work === "pause" ? [] : ownWork(steering);
	const grouped = work === "pause" ? [] : groupWork(steering);
	const groups = [...new Set(grouped.map((it) => it.group))];
	const free = h("input", { type: "checkbox", class: "switch", id: "free-groups" });
	const move = h("input", { type: "checkbox", class: "switch", id: "move-too" });
	const time = h("input", { type: "time", id: "until-time", value: "07:00" });
	const at = button("", null);
	const label = () => {
		const until = nextTime(time.value, now);
		at.disabled = until === null;
		setText(at.querySelector("span"), until === null ? "Enter a time" : `Until ${upcoming(until, now)}`);
	};
	const pick = async (end) => {
		const clear = move.checked ? own.map((it) => it.worker) : [];
		if (free.checked && !(await freeGroups(groups))) return;
		if (await setTemporary({ work, workers: ["*"], end, clear }, steering, names)) close();
	};
	time.addEventListener("input", label);
	at.addEventListener("click", () => pick({ until_ms: nextTime(time.value, now) }));
	label();
	const names3 = (list) => listWords(list.map(shownName));
	const close = openDialog(orderWords(work, names), [
		own.length > 0 && h("div", { class: "check-line" }, move, h("label", { for: "move-too" }, `Also move ${names3(own)}`, h("span", { class: "note block" }, own.length === 1 ? "It has its own setting, which is removed." : "They have their own settings, which are removed."))),
		grouped.length > 0 && h("div", { class: "check-line" }, free, h("label", { for: "free-groups" }, `Also move ${names3(grouped)}`, h("span", { class: "note block" }, `The work of the group ${listWords(groups)} is removed.`))),
		h("div", { class: "ends", role: "group", "aria-label": "For how long" }, ...SPANS.map(([seconds, text]) => button(`For ${text}`, () => pick({ for_seconds: seconds }))), button("Until I change it", () => pick({ until_ms: null }))),
		h("div", { class: "end-time" }, h("label", { for: "until-time" }, "Or until"), time, at),
	].filter(Boolean));
}
