// Logs: what happens, live, as sentences that open to the JSON behind them.
import * as api from "./api.js";
import { clock, count } from "./format.js";
import { watchStatus } from "./live.js";
import { EVENTS, sentence } from "./sentences.js";
import { button, card, debounce, h, icon, pageHead, poolBadge, segmented, select, setText } from "./ui.js";

/** Events remembered here, and rows that exist at a time: the page must not grow with the days. */
const KEPT = 4000;
const ROWS = 300;
const WAIT_SECONDS = 20;
const RETRY_MS = 3000;
const LEVELS = ["trace", "debug", "info", "warn", "error"];

export const logs = { title: "Logs", mount };

function mount(host) {
	const filter = { event: "", level: "info", miner: "", pool: "", text: "" };
	let kept = [];
	let names = { A: "Pool A", B: "Pool B" };
	let paused = false;
	let whilePaused = 0;
	const list = h("ol", { class: "log", "aria-label": "Events, newest first" });
	const found = h("p", { class: "note", role: "status" });
	const pause = button("Pause", () => setPaused(!paused), { image: "pause" });
	const rebuild = debounce(showAll, 150);
	const typed = (name, label, placeholder) => h("input", { type: "search", "aria-label": label, placeholder, oninput: (event) => ((filter[name] = event.target.value.trim().toLowerCase()), rebuild()) });
	const chosen = (name) => (value) => ((filter[name] = value), showAll());
	const tools = h(
		"div",
		{ class: "toolbar" },
		h("div", { class: "search" }, icon("search"), typed("text", "Text in the event", "Text")),
		h("div", { class: "search narrow" }, typed("miner", "Miner: worker or number", "Worker or number")),
		select("Event", [["", "all"], ...EVENTS.map((name) => [name, name])], "", chosen("event")),
		select("Level", [["trace", "all"], ["info", "info and above"], ["warn", "warn and above"], ["error", "error"]], "info", chosen("level")),
		select("Pool", [["", "any"], ["A", "A"], ["B", "B"]], "", chosen("pool")),
	);
	host.append(pageHead("Logs", "What happens, as it happens.", pause), tools, found, list, downloadCard());

	const fits = (entry) => matches(entry.event, filter);

	function showAll() {
		const rows = kept.filter(fits).slice(-ROWS).reverse();
		list.replaceChildren(...rows.map((entry) => row(entry.event, names)));
		say();
	}

	function add(entries) {
		kept = [...kept, ...entries].slice(-KEPT);
		if (paused) {
			whilePaused += entries.filter(fits).length;
			return say();
		}
		const rows = entries.filter(fits).slice(-ROWS).map((entry) => row(entry.event, names));
		list.prepend(...rows.reverse());
		while (list.children.length > ROWS) list.lastChild.remove();
		say();
	}

	function say() {
		const shown = list.children.length;
		if (paused) setText(found, `Paused. ${count(whilePaused)} new since then.`);
		else if (shown === 0) setText(found, kept.length ? "No event fits." : "No event yet.");
		else setText(found, shown === ROWS ? `The newest ${ROWS} that fit` : `${count(shown)} that fit, of the last ${count(kept.length)}`);
	}

	function setPaused(now) {
		paused = now;
		whilePaused = 0;
		pause.replaceChildren(icon(paused ? "play" : "pause"), h("span", {}, paused ? "Continue" : "Pause"));
		if (!paused) showAll();
		say();
	}

	const stopStatus = watchStatus(({ pools }) => {
		if (names.A === pools.A.name && names.B === pools.B.name) return;
		names = { A: pools.A.name, B: pools.B.name };
		if (!paused) showAll();
	});
	const stopTail = tail((entries, missed) => {
		if (missed > 0) entries = [{ event: { ts: new Date().toISOString(), level: "warn", event: "log_dropped", lines: missed } }, ...entries];
		add(entries);
	}, () => (kept = []));
	return () => {
		stopStatus();
		stopTail();
		rebuild.cancel();
	};
}

/** Reads events as they come. `begin()` is called before the first ones, also after a break. */
function tail(take, begin) {
	const stopped = new AbortController();
	const { signal } = stopped;
	(async () => {
		let after = null;
		while (!signal.aborted) {
			try {
				if (after === null) begin();
				const answer = await api.events(after, after === null ? 0 : WAIT_SECONDS, signal);
				// A number that went back means that the server was started anew.
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
	if (LEVELS.indexOf(event.level) < LEVELS.indexOf(filter.level)) return false;
	if (filter.event && event.event !== filter.event) return false;
	if (filter.pool && ![event.pool, event.from, event.to].includes(filter.pool)) return false;
	if (filter.miner && String(event.miner) !== filter.miner && !event.worker?.toLowerCase().includes(filter.miner)) return false;
	return !filter.text || JSON.stringify(event).toLowerCase().includes(filter.text);
}

function row(event, names) {
	const raw = h("pre", { class: "mono" });
	const details = h(
		"details",
		{ class: `log-row ${event.level}` },
		h("summary", {}, h("time", { class: "mono", datetime: event.ts }, clock(Date.parse(event.ts), { seconds: true })), h("span", { class: "log-level" }, event.level), event.pool || event.to ? poolBadge(event.pool ?? event.to) : h("span", { class: "badge-gap" }), h("span", { class: "log-text" }, sentence(event, names)), h("span", { class: "log-event mono" }, event.event)),
		raw,
	);
	// Most rows are never opened, so their JSON is written when they are.
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
