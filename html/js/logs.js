import * as api from "./api.js";
import { clock, count } from "./format.js";
import { button, card, debounce, h, icon, pageHead, poolBadge, segmented, select, setText } from "./ui.js";

/** Limits of events and rows, so that the page does not grow with the days. */
const KEPT = 4000;
const ROWS = 300;
const WAIT_SECONDS = 20;
const RETRY_MS = 3000;
/** A line that counts several events comes at most a minute after its time. */
const SET_BACK_MS = 120_000;
const LEVELS = ["trace", "debug", "info", "warn", "error"];
/** Someone who looks for problems also wants to know when they ended. */
const levelOf = ({ event, level }) => LEVELS.indexOf(event === "trouble_over" ? "warn" : level);
/** Too many to show unless the owner asks. */
const MANY = ["share_result", "pool_switched", "job_shared"];
const PAGE = 200;

export const logs = { title: "Logs", mount };

function mount(host) {
	const filter = { level: "warn", pool: "", text: "" };
	let kept = [];
	let paused = false;
	let whilePaused = 0;
	/** "" while the page is live. */
	let day = "";
	let next = null;
	let oldest = "";
	let reading = 0;
	const list = h("ol", { class: "log", "aria-label": "Events, newest first" });
	const found = h("p", { class: "note", role: "status" });
	const pause = button("Pause", () => (day ? choose("") : setPaused(!paused)), { image: "pause" });
	const more = button("", () => (!day ? choose(dayOf(Date.now())) : next ? read(true) : choose(dayOf(Date.parse(`${day}T12:00`) - 86_400_000))));
	const again = () => (day ? read() : showAll());
	const rebuild = debounce(again, 150);
	const chosen = (name) => (value) => ((filter[name] = value), again());
	const dayBox = h("input", { type: "date", id: "log-day", onchange: () => choose(dayBox.value) });
	const tools = h(
		"div",
		{ class: "toolbar" },
		segmented("Which events", [["warn", "Important"], ["info", "Events"], ["trace", "All"]], "warn", chosen("level")),
		h("div", { class: "search" }, icon("search"), h("input", { type: "search", "aria-label": "Text in the event", placeholder: "Worker, event or any text", oninput: (event) => ((filter.text = event.target.value.trim().toLowerCase()), rebuild()) })),
		select("Pool", [["", "any"], ["A", "A"], ["B", "B"]], "", chosen("pool")),
		h("div", { class: "inline-field" }, h("label", { for: "log-day" }, "Day"), dayBox),
	);
	host.append(pageHead("Logs", "The newest first. “All” adds shares and switches.", pause), tools, found, list, h("div", { class: "actions log-more" }, more), downloadCard());

	const fits = (entry) => matches(entry.event, filter);
	const rowOf = (entry) => row(entry, day !== "");

	/** Adds a row in order of time. A line that counts several events is written after them. */
	function place(entry) {
		const row = rowOf(entry);
		const time = (it) => it.querySelector("time").dateTime;
		const rows = [...list.children];
		// Files are read from the newest line on, and live events come the other way round.
		const next = day ? rows[rows.findLastIndex((it) => time(it) >= time(row)) + 1] : rows.find((it) => !isLater(time(it), time(row)));
		list.insertBefore(row, next ?? null);
	}

	function showAll() {
		list.replaceChildren();
		kept.filter(fits).slice(-ROWS).forEach(place);
		say();
	}

	function add(entries) {
		for (const entry of entries) kept.splice(kept.findLastIndex((it) => !isLater(it.event.ts, entry.event.ts)) + 1, 0, entry);
		kept = kept.slice(-KEPT);
		if (day) return;
		if (paused) {
			whilePaused += entries.filter(fits).length;
			return say();
		}
		entries.filter(fits).slice(-ROWS).forEach(place);
		while (list.children.length > ROWS) list.lastChild.remove();
		say();
	}

	function say() {
		const shown = list.children.length;
		setText(more.firstChild, "Read the log files");
		more.hidden = false;
		if (paused) setText(found, `Paused. ${count(whilePaused)} new since then.`);
		else if (shown === 0) setText(found, kept.length ? `None of the last ${count(kept.length)} events fits.` : "No event yet.");
		else setText(found, shown === ROWS ? `The newest ${ROWS} that fit` : `${count(shown)} that fit, of the last ${count(kept.length)}`);
	}

	function choose(to) {
		day = dayBox.value = to;
		setPaused(false);
		if (day) read();
	}

	/** Reads the files until there is a page of events. `on`: adds to what is shown. */
	async function read(on = false) {
		const mine = ++reading;
		const from = new Date(`${day}T00:00`);
		const query = { from_ms: +from, to_ms: from.setDate(from.getDate() + 1), without: filter.level === "trace" ? "" : MANY, ...filter };
		if (!on) {
			list.replaceChildren();
			next = null;
		}
		more.hidden = true;
		setText(found, "Searching…");
		try {
			for (let left = PAGE; left > 0 && (next !== null || left === PAGE); ) {
				const answer = await api.pastEvents({ ...query, limit: left, before: next ?? "" });
				if (mine !== reading) return;
				answer.events.forEach((event, i) => place({ event, text: answer.texts[i] }));
				left -= answer.events.length || (answer.next === null ? PAGE : 0);
				next = answer.next;
				oldest = dayOf(Date.parse(answer.oldest ?? new Date()));
			}
			setText(found, list.children.length ? `${count(list.children.length)} events` : "No event of this day fits.");
		} catch (error) {
			if (mine === reading) setText(found, error.message);
		}
		setText(more.firstChild, next ? "Show older events" : "Show the day before");
		more.hidden = next === null && day <= oldest;
	}

	function setPaused(now) {
		reading += 1;
		paused = now;
		whilePaused = 0;
		const live = !paused && !day;
		pause.replaceChildren(icon(live ? "pause" : "play"), h("span", {}, live ? "Pause" : day ? "Live" : "Continue"));
		if (!paused && !day) showAll();
		if (!day) say();
	}

	const stopTail = tail((entries, missed) => {
		if (missed > 0) entries = [{ text: `${count(missed)} lines are missing here`, event: { ts: entries[0]?.event.ts ?? new Date().toISOString(), level: "warn", event: "log_dropped", lines: missed } }, ...entries];
		add(entries);
	}, () => (kept = []));
	return () => {
		reading += 1;
		stopTail();
		rebuild.cancel();
	};
}

/** Whether `ts` belongs after `other`. If it is much later, the clock was set back in between. */
const isLater = (ts, other) => ts > other && Date.parse(ts) - Date.parse(other) < SET_BACK_MS;

function dayOf(ms) {
	const date = new Date(ms);
	return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
}

/** Calls `begin()` before the first events, also after a break. */
function tail(take, begin) {
	const stopped = new AbortController();
	const { signal } = stopped;
	(async () => {
		let after = null;
		while (!signal.aborted) {
			try {
				if (after === null) begin();
				const answer = await api.events(after, after === null ? 0 : WAIT_SECONDS, signal);
				// Numbers start again when the server does.
				after = after !== null && answer.next < after ? null : answer.next;
				if (after !== null) take(answer.events, answer.missed);
			} catch {
				await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
			}
		}
	})();
	return () => stopped.abort();
}

function matches(event, filter) {
	if (levelOf(event) < LEVELS.indexOf(filter.level) || (filter.level !== "trace" && MANY.includes(event.event))) return false;
	if (filter.pool && ![event.pool, event.from, event.to].includes(filter.pool)) return false;
	return !filter.text || JSON.stringify(event).toLowerCase().includes(filter.text);
}

function row({ event, text }, past) {
	const raw = h("pre", { class: "mono" });
	const time = clock(Date.parse(event.ts), { seconds: true });
	const details = h(
		"details",
		{ class: `log-row ${event.level}` },
		h("summary", {}, h("time", { class: "mono", datetime: event.ts }, past ? time.slice(-8) : time), h("span", { class: "log-level" }, event.level), event.pool || event.to ? poolBadge(event.pool ?? event.to) : h("span", { class: "badge-gap" }), h("span", { class: "log-text" }, event.event === "override_set" && event.until_ms ? `${text}, until ${clock(event.until_ms)}` : text), h("span", { class: "log-event mono" }, event.event)),
		raw,
	);
	// Most rows are never opened.
	details.addEventListener("toggle", () => details.open && setText(raw, JSON.stringify(event, null, 2)));
	return h("li", {}, details);
}

function downloadCard() {
	let wallets = "short";
	const link = h("a", { class: "button", download: "" }, icon("download"), "Download all logs");
	const aim = () => (link.href = api.downloads.logs(wallets));
	const choose = segmented("Wallets in the files", [["short", "Wallets shortened"], ["full", "Wallets in full"]], wallets, (value) => ((wallets = value), aim()));
	aim();
	return card("Download", { note: "All kept log files as one .tar.gz. Shorten the wallets before you hand it to somebody." }, h("div", { class: "actions" }, choose, link));
}
