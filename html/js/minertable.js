// The table of miners. Only the rows in sight exist, and they are updated in place,
// so that a thousand miners cost no more than twenty.
import { ago, clock, count, hashrate, large, percent, ratio, reasons, trimmed, words } from "./format.js";
import { h, isolate, poolBadge, setFigure, setText } from "./ui.js";
import { percentA, reasonWords, shownName, workWords } from "./work.js";

/** Extra rows at both edges. */
const SPARE = 6;
const narrow = matchMedia("(max-width: 1099px)");
const rowHeight = () => (narrow.matches ? 172 : 52);

/**
 * The columns: `value` is what is sorted by (null: last), `text` what is shown, `more` a second line.
 * Texts of null are shown as unknown. A column without `width` is only for sorting; one that is `wide` needs a wide
 * window. Widths are parts of the whole.
 */
export const COLUMNS = [
	{ key: "worker", title: "Worker", width: 152, value: (m) => nameOf(m).toLowerCase(), text: nameOf, more: (m) => [nameOf(m) === m.worker ? null : m.worker, stateOf(m)].filter(Boolean).join(" · "), upwards: true },
	{ key: "pool", title: "Pool", width: 52, value: (m) => m.pool, upwards: true },
	{ key: "work", title: "Work", width: 136, value: (m) => (m.steering ? (percentA(m.steering.work) ?? 200) : null), text: (m) => m.steering && workWords(m.steering.work, names), more: (m) => m.steering && whyOf(m.steering), upwards: true },
	{ key: "hashrate_5m", title: "Hashrate", width: 112, value: (m) => m.hashrate_5m, text: (m) => hashrate(m.hashrate_5m), more: (m) => hashrate(m.hashrate_1h)?.replace(/^/, "1 h: "), number: true },
	{ key: "last", title: "Last share", width: 130, value: (m) => m.last_share_ms, text: (m) => ago(m.last_share_ms, nowMs), more: (m) => conditionOf(m) || (m.shares_per_minute ? `${trimmed(m.shares_per_minute, 1)} a minute` : ""), number: true },
	{ key: "rejected", title: "Rejected", width: 116, value: (m) => m.rejected, text: (m) => rejected(m), more: (m) => reasons(m.rejected_by), about: (m) => Object.keys(m.rejected_by ?? {}).map((it) => `${words(it)}: ${meanings[it]}`).join("\n"), number: true },
	{ key: "accepted", title: "Accepted", width: 108, value: (m) => m.accepted.A + m.accepted.B, text: (m) => count(m.accepted.A + m.accepted.B), more: (m) => `A ${count(m.accepted.A)}, B ${count(m.accepted.B)}`, number: true },
	{ key: "split", title: "Split", width: 86, value: (m) => m.share_a, text: (m) => ratio(m.share_a, 0), more: (m) => ratio(m.time_share_a, 0)?.replace(/^/, "time "), number: true },
	{ key: "difficulty", title: "Difficulty", width: 92, value: (m) => m.difficulty, text: (m) => large(m.difficulty), number: true, wide: true },
	{ key: "best", title: "Best share", width: 116, value: (m) => m.best_share?.difficulty ?? null, text: (m) => large(m.best_share?.difficulty ?? null), more: (m) => (m.best_share ? `${m.best_share.pool}, ${ago(m.best_share.at_ms, nowMs)}` : ""), number: true, wide: true },
	{ key: "address", title: "Address", value: (m) => addressKey(m.address), upwards: true },
	{ key: "software", title: "Software", value: (m) => m.software?.toLowerCase() ?? null, upwards: true },
	{ key: "hashrate_24h", title: "Hashrate, 24 h", value: (m) => m.hashrate_24h },
	{ key: "connected", title: "Connected", value: (m) => m.connected_ms },
];
const SHOWN = COLUMNS.filter((column) => column.width);

function nameOf(m) {
	return m.steering ? shownName(m.steering) : m.worker;
}

function stateOf(m) {
	if (m.paused) return "paused";
	if (m.left_ms) return `left ${ago(m.left_ms, nowMs)}`;
	return !m.connected_ms ? "not connected" : conditionOf(m) || (m.software ?? "software not known");
}

function conditionOf({ condition, condition_since_ms: since }) {
	return { hangs: "Hangs", slow: "Slow" }[condition]?.concat(" since ", clock(since)) ?? "";
}

function whyOf(steering) {
	if (steering.stands_in) return `works for ${names[steering.on] ?? "the other pool"} while its own is down`;
	if (steering.waits) return `waits for ${names[steering.work === "A" || steering.work.A > 0 ? "A" : "B"]}, which is down`;
	return reasonWords(steering, nowMs);
}

/** The server's clock, because the browser's may be wrong. */
let nowMs = 0;

let names = { A: "Pool A", B: "Pool B" };

let meanings = {};

/**
 * `open(miner)`: its name was pressed; `steer(miner)`: its work was; `sorted(sort)`: the order has changed;
 * `selected(workers)`: the set of selected workers' names has changed.
 */
export function minerTable({ open, steer, sorted, selected }) {
	const selection = new Set();
	const all = h("input", { type: "checkbox", "aria-label": "Select all miners in the table", onchange: () => selectAll(all.checked) });
	const sort = { key: "worker", down: false };
	let list = [];
	/** Rows that exist, starting at the index `from`, and spare ones. */
	const rows = [];
	const spare = [];
	let from = 0;
	const body = h("tbody", { role: "rowgroup" });
	const above = h("tr", { class: "spacer", "aria-hidden": "true" });
	const below = h("tr", { class: "spacer", "aria-hidden": "true" });
	const heads = SHOWN.map(headCell);
	const table = h("table", { role: "table", "aria-label": "Miners", class: "miners" }, h("thead", { role: "rowgroup" }, h("tr", { role: "row", "aria-rowindex": "1" }, h("th", { role: "columnheader", scope: "col", class: "col-check", width: 44 }, h("label", { class: "check-cell" }, all)), ...heads.map((head) => head.element))), body);
	const region = h("div", { class: "table-region", role: "region", tabindex: "0", "aria-label": "Table of miners, scrolls by itself" }, table);
	body.append(above, below);

	function headCell(column) {
		const element = h("th", { role: "columnheader", scope: "col", class: classOf(column), width: column.width }, h("button", { type: "button", onclick: () => sortBy(column.key) }, column.title, h("span", { class: "sort-mark", "aria-hidden": "true" })));
		return { element, column };
	}

	/** Choosing the same column again reverses the order. */
	function sortBy(key, turn = sort.key) {
		sort.down = turn === key ? !sort.down : !COLUMNS.find((c) => c.key === key).upwards;
		sort.key = key;
		sorted(sort);
		arrange();
		region.scrollTop = 0;
		render();
	}

	function arrange() {
		const { value } = COLUMNS.find((c) => c.key === sort.key);
		const direction = sort.down ? -1 : 1;
		list.sort((x, y) => rank(x) - rank(y) || compare(value(x), value(y), direction) || x.id - y.id);
		heads.forEach(({ element, column }) => {
			if (column.key === sort.key) element.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
			else element.removeAttribute("aria-sort");
		});
	}

	function render() {
		const height = rowHeight();
		const visible = Math.ceil(region.clientHeight / height) + 2 * SPARE;
		const first = Math.max(0, Math.min(Math.floor(region.scrollTop / height) - SPARE, list.length - visible));
		const end = Math.min(list.length, first + visible);
		moveRows(first, end);
		rows.forEach((row, i) => row.show(list[from + i], from + i + 2, selection));
		const chosen = list.filter((miner) => selection.has(miner.worker)).length;
		all.checked = chosen > 0 && chosen === list.length;
		all.indeterminate = chosen > 0 && chosen < list.length;
		above.style.height = `${first * height}px`;
		below.style.height = `${(list.length - end) * height}px`;
	}

	/** Makes rows from `first` to before `end`. Moving the others would take away the focus. */
	function moveRows(first, end) {
		while (rows.length && (from < first || from >= end)) {
			retire(rows.shift());
			from += 1;
		}
		while (rows.length && from + rows.length > end) retire(rows.pop());
		if (rows.length === 0) from = first;
		while (from > first) {
			rows.unshift(spare.pop() ?? makeRow({ open, steer, select }));
			above.after(rows[0].element);
			from -= 1;
		}
		while (from + rows.length < end) {
			rows.push(spare.pop() ?? makeRow({ open, steer, select }));
			below.before(rows.at(-1).element);
		}
	}

	function select(worker, on) {
		if (on) selection.add(worker);
		else selection.delete(worker);
		selected(selection);
		render();
	}

	function selectAll(on) {
		list.forEach(({ worker }) => (on ? selection.add(worker) : selection.delete(worker)));
		selected(selection);
		render();
	}

	function retire(row) {
		row.element.remove();
		spare.push(row);
	}

	const onScroll = () => requestAnimationFrame(render);
	region.addEventListener("scroll", onScroll, { passive: true });
	const observer = new ResizeObserver(render);
	observer.observe(region);

	return {
		element: region,
		sort,
		sortBy,
		/** `keepOrder`: rows under the pointer do not move. */
		show(miners, { now_ms: now, reasons: why }, keepOrder, poolNames) {
			nowMs = now;
			meanings = why;
			names = poolNames;
			const resting = keepOrder && region.matches(":focus-within, :hover");
			list = resting ? inOrderOf(list, miners) : miners;
			table.setAttribute("aria-rowcount", String(list.length + 1));
			region.hidden = list.length === 0;
			if (!resting) arrange();
			render();
		},
		selectAll: () => selectAll(true),
		clearSelection() {
			selection.clear();
			selected(selection);
			render();
		},
		leave: () => observer.disconnect(),
	};
}

/** In the previous order, with new ones at the end. */
function inOrderOf(before, miners) {
	const places = new Map(before.map((miner, i) => [miner.id, i]));
	const place = (miner) => places.get(miner.id) ?? before.length;
	return [...miners].sort((x, y) => place(x) - place(y));
}

const rank = (m) => (m.paused || (m.left_ms === null && m.connected_ms !== null) ? 0 : 1);

/** Unknown values always come last. */
function compare(x = null, y = null, direction = 1) {
	if (x === y) return 0;
	if (x === null) return 1;
	if (y === null) return -1;
	return (x < y ? -1 : 1) * direction;
}

/** An address that sorts by its numbers: 192.168.1.9 before 192.168.1.10. */
function addressKey(address) {
	return address.replace(/\d+/g, (digits) => digits.padStart(5, "0"));
}

function makeRow({ open, steer, select }) {
	let miner = null;
	const cells = SHOWN.map((column) => makeCell(column, () => (column.key === "work" ? steer : open)(miner)));
	const check = h("input", { type: "checkbox", onchange: () => select(miner.worker, check.checked) });
	const element = h("tr", { role: "row", onclick: (event) => !event.target.closest("button, label") && open(miner) }, h("td", { role: "cell", class: "col-check" }, h("label", { class: "check-cell" }, check)), ...cells.map((cell) => cell.element));
	return {
		element,
		show(next, index, selection) {
			miner = next;
			check.checked = selection.has(miner.worker);
			check.setAttribute("aria-label", `Select ${nameOf(miner)}`);
			element.setAttribute("aria-rowindex", String(index));
			element.classList.toggle("gone", (miner.left_ms !== null || miner.connected_ms === null) && !miner.paused);
			cells.forEach((cell) => cell.show(miner));
		},
	};
}

function makeCell(column, open) {
	if (column.key === "pool") return poolCell();
	const isName = column.key === "worker";
	const isButton = isName || column.key === "work";
	const main = isButton ? h("button", { type: "button", class: "link ellipsis", onclick: open }) : h("span", { class: "cell-main" });
	const more = column.more ? h("span", { class: "cell-more ellipsis" }) : null;
	const element = h(isName ? "th" : "td", { role: isName ? "rowheader" : "cell", scope: isName && "row", class: classOf(column), "data-label": column.title }, main, more);
	return {
		element,
		show(miner) {
			const text = column.text(miner);
			setFigure(main, text);
			if (column.key === "work") main.setAttribute("aria-label", `Set the work of ${nameOf(miner)}, now ${text ?? "not known"}`);
			if (more) setText(more, column.more(miner) ?? "");
			if (more) more.title = isolate(column.about?.(miner) || more.textContent);
		},
	};
}

const classOf = ({ key, number, wide }) => [`col-${key}`, number && "number", wide && "wide"].filter(Boolean).join(" ");

function poolCell() {
	const element = h("td", { role: "cell", class: "col-pool", "data-label": "Pool" });
	let shown;
	return {
		element,
		show({ pool }) {
			if (pool === shown) return;
			shown = pool;
			element.replaceChildren(poolBadge(pool));
		},
	};
}

function rejected(miner) {
	const all = miner.accepted.A + miner.accepted.B + miner.rejected;
	return miner.rejected > 0 ? `${count(miner.rejected)} (${percent(miner.rejected / all, 2)})` : count(miner.rejected);
}
