// About: version, uptime, licence, what the figures mean and how the split works.
import { downloads } from "./api.js";
import { clock, duration, ratio } from "./format.js";
import { watchStatus } from "./live.js";
import { card, h, pageHead, setFigure, unknown } from "./ui.js";

const FIGURES = [
	["Hashrate", "Hashes a second, reckoned from the shares of the last minutes. It wavers, since shares come by chance; a longer time gives a steadier figure."],
	["Share", "A proof of work that a miner sends. A pool pays for shares by their difficulty."],
	["Difficulty", "How rare a share must be. Pools set it so that each miner sends a few shares a minute. On average a share of difficulty 1 takes 4.3 billion hashes."],
	["True difficulty, best share", "What a share was worth by luck, which may be far more than was asked for. If it reaches the difficulty of the network it is a block."],
	["Accepted", "Shares that the pool took."],
	["Rejected", "Shares that the pool refused, with its reason. Stale means that the work was out of date; a few in a thousand are normal."],
	["Refused", "Shares that DPMP did not forward, since the pool would have rejected them."],
	["Lost", "Shares that were sent to a pool that never answered, mostly because its connection broke."],
	["Share latency", "From the miner's share until the pool's answer."],
	["Job age", "How long ago the pool sent its present work. About half a minute is normal."],
	["Split by time", "The part of their time that miners worked for each pool. This is what DPMP steers, and it is exact."],
	["Split by work", "The part of the credited difficulty. It scatters by luck around the split by time: the more shares, the less."],
	["Within luck", "The measured split is no further from what is expected than luck alone puts it in 95 of 100 cases (two standard deviations)."],
];

const DOCUMENTS = [
	["/docs/miners.md", "Miners", "what to type into which miner"],
	["/docs/pools.md", "Pools", "what a pool needs, and why its page shows something else"],
	["/docs/troubleshooting.md", "Troubleshooting", "from symptoms to causes"],
	["/docs/security.md", "Security", "what is guarded, against whom, and what is not"],
	["/docs/configuration.md", "Configuration", "every setting"],
	["/docs/", "All documents", "also for programs"],
	[downloads.openapi, "API", "the description of the API, as OpenAPI 3.1"],
];

export const about = { title: "About", mount };

function mount(host) {
	const facts = [
		["Version", (s) => s.version],
		["Running for", (s) => duration(s.uptime_seconds)],
		["Started", (s) => clock(s.started_ms)],
		["Miners connect to", (s) => `port ${s.listen.port}`],
		["Split by time", (s) => ratio(s.split.time.now, 2)],
		["Licence", () => "MIT"],
	].map(([label, make]) => ({ label, make, value: h("dd", {}, unknown()) }));
	host.append(
		pageHead("About DPMP", "It splits the work of your miners between two pools, in the ratio that you choose. It has no fee and mines nothing itself."),
		h("dl", { class: "totals card" }, ...facts.map((f) => h("div", {}, h("dt", {}, f.label), f.value))),
		howItWorks(),
		card("What the figures mean", {}, h("dl", { class: "glossary" }, ...FIGURES.map(([term, meaning]) => h("div", {}, h("dt", {}, term), h("dd", {}, meaning))))),
		h(
			"div",
			{ class: "pair" },
			card("Documentation", {}, h("ul", { class: "link-list" }, ...DOCUMENTS.map(([href, name, what]) => h("li", {}, h("a", { href, target: "_blank", rel: "noopener" }, name), h("span", { class: "note" }, what))))),
			card("Licence", {}, h("p", {}, "DPMP is free software under the MIT licence: use it, change it and pass it on, also for money, as long as the copyright notice stays with it. There is no warranty."), h("p", {}, h("a", { href: "/setup" }, "Open the set-up again"), h("span", { class: "note" }, " shows the line to type into a miner."))),
		),
	);
	return watchStatus((status) => facts.forEach((f) => setFigure(f.value, f.make(status))));
}

function howItWorks() {
	return card(
		"How the split works",
		{ id: "how" },
		h("p", {}, "Each miner works for one pool at a time, in short turns: at 70:30 for example 23 seconds for pool A, then 10 for pool B. It keeps its connection and loses no work at a switch, and both pools see it as a worker of their own with its part of the hashrate."),
		h("p", {}, "DPMP keeps account of the time of every miner and evens it out, so that the split by time is exact. What a pool shows on its own page is an estimate from shares, and shares come by chance: with 100 shares an estimate is off by about 10 percent, with 10,000 by about 1."),
		h("p", {}, "Miners can have their own settings, and a temporary change or the timetable can replace the usual split for a while: see Miners, Home and Timetable."),
		h("p", {}, "If a pool is down, all miners work for the other. When it is back, it gets back some of the time that it missed, up to the limit in Config."),
	);
}
