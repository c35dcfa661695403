import * as api from "./api.js";
import { ago, clock, count, duration, hashrate, large, nameAt, percent } from "./format.js";
import { poll, watchStatus } from "./live.js";
import { card, failure, h, icon, pageHead, poolBadge, setText, unknown } from "./ui.js";

export const records = { title: "Records", mount };

function mount(host) {
	const blocks = part("Blocks found", "Each block is kept as a file. It shows a pool's support what was found.", "No block yet. It will appear here the moment one is found.", ["Found", "Height", "Pool", "Worker", "Answer of the pool", "Hash and file"]);
	const csv = h("a", { class: "button", href: api.downloads.ledgerCsv, download: "" }, icon("download"), "CSV");
	const days = part("Work by day", "All workers together, last 31 days. The CSV has each worker and all days.", "Nothing yet.", ["Day", "Pool", "Accepted", "Rejected", "Work (difficulty)", "Time", "Blocks"], [csv]);
	const best = part("Best shares", "The ten best of all time.", "No share yet.", ["Difficulty", "Worker", "Pool", "Time"]);
	const odds = part("Odds", "From your hashrate in the last 24 hours and today's network difficulty.", "", ["Measure", "A", "B", "Either pool"]);
	const shared = h("p", { class: "note" });
	odds.element.append(shared, h("p", { class: "note" }, "Past work does not bring the next block closer."));
	host.append(pageHead("Records"), odds.element, blocks.element, best.element, days.element);
	let slots = null;
	const showRecords = ({ best_shares: shares, pools, both }) => {
		odds.show(oddsRows(pools, both));
		const rows = shares.map((share) => [share, slots && nameAt(slots[share.pool], share.at_ms)]);
		best.show(rows.map((of) => ({ of, cells: () => [large(of[0].difficulty), of[0].worker, pool(of[0].pool, of[1]), clock(of[0].at_ms)] })));
	};
	const stops = [watchStatus(({ pools }) => {
		slots = pools;
		const { A, B } = pools;
		setText(shared, [A, B].map(sharing).join(" ").trim());
	}), poll(api.records, 10_000, showRecords, odds.fail), poll(api.blocks, 5000, (answer) => blocks.show(answer.blocks.map(blockRow)), blocks.fail), poll(api.ledger, 60_000, (answer) => days.show(answer.days.flatMap(dayRows)), days.fail)];
	return () => stops.forEach((stop) => stop());
}

function part(title, note, none, heads, actions = []) {
	const place = h("div", { class: "as-table", role: "region", tabindex: "0", "aria-label": `${title}: table` });
	let shown = null;
	return {
		element: card(title, { note, actions }, place),
		/** `rows`: functions that make cells, each with its data, so that the table is only rebuilt after changes. */
		show(rows) {
			const now = JSON.stringify(rows.map((row) => row.of));
			if (now === shown) return;
			shown = now;
			const body = rows.map((row) => h("tr", {}, ...row.cells().map((cell) => h("td", {}, cell ?? unknown()))));
			const table = () => h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, ...body));
			place.replaceChildren(rows.length ? table() : h("p", { class: "note" }, none));
		},
		fail(error) {
			shown = null;
			place.replaceChildren(failure(error));
		},
	};
}

function blockRow(block) {
	const short = `${block.hash.slice(0, 8)}…${block.hash.slice(-8)}`;
	const hash = () => (block.explorer ? h("a", { href: block.explorer, target: "_blank", rel: "noopener noreferrer" }, short) : h("code", { title: block.hash }, short));
	const file = () => h("a", { href: api.downloads.block(block.name), download: "", "aria-label": `Download the file of block ${short}` }, icon("download"));
	const when = h("time", { title: ago(block.found_ms, Date.now()) }, clock(block.found_ms));
	return { of: block, cells: () => [when, count(block.height), pool(block.pool, block.pool_name), block.worker, block.answer ?? "none yet", h("span", {}, hash(), " ", file())] };
}

function oddsRows(pools, both) {
	const row = (label, of, either = "") => {
		const values = [...["A", "B"].map((slot) => of(pools[slot])), either];
		return { of: [label, values], cells: () => [label, ...values] };
	};
	const odds = (say) => [(p) => p.odds && say(p.odds), both && say(both)];
	return [
		row("Hashrate", (p) => hashrate(p.hashrate) ?? "measuring"),
		row("Network difficulty", (p) => large(p.network_difficulty)),
		row("Chance in a day", ...odds((o) => chance(o.chance_per_day))),
		row("Chance in a year", ...odds((o) => chance(o.chance_per_year))),
		row("On average one block in", ...odds((o) => span(o.seconds_per_block))),
		row("Effort since the last block", (p) => percent(p.effort, 2)),
		row("Best share", (p) => large(p.best_share)),
		row("Usual best share for this work", (p) => large(p.usual_best_share)),
		row("Luck of the best share", (p) => percent(p.best_share_luck)),
		row("Value of 1 TH/s a day", (p) => p.value && String(Number(p.value.toPrecision(4)))),
	];
}

function sharing({ name, insight }) {
	const income = "your income does not depend on it.";
	return { shared: `A block found at ${name} is shared; ${income}`, pool: `A block found at ${name} pays the pool. If the pool shares it, ${income}` }[insight?.payout.kind] ?? "";
}

const rough = (value) => count(Number(value.toPrecision(2)));

const chance = (part) => (part <= 0 ? "none" : part > 0.1 ? percent(part) : `1 in ${rough(1 / part)}`);

function span(seconds) {
	if (seconds === null) return "never";
	const years = seconds / 31_557_600;
	return years >= 2 ? `${rough(years)} years` : seconds >= 172_800 ? `${rough(seconds / 86_400)} days` : duration(seconds);
}

const pool = (slot, name) => h("span", {}, poolBadge(slot), " ", name ?? "");

function dayRows({ day, rows }) {
	return ["A", "B"].flatMap((slot) => {
		const of = rows.filter((row) => row.pool === slot);
		if (!of.length) return [];
		const sum = (key) => of.reduce((all, row) => all + row[key], 0);
		return [{ of: [day, of], cells: () => [day, pool(slot, of[0].pool_name), count(sum("accepted")), count(sum("rejected")), large(sum("work")), duration(sum("seconds")), count(sum("blocks"))] }];
	});
}
