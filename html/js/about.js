// About: version, uptime, license, and the way to the documents.
import { downloads } from "./api.js";
import { clock, duration, ratio } from "./format.js";
import { watchStatus } from "./live.js";
import { card, h, pageHead, setFigure, unknown } from "./ui.js";

const DOCUMENTS = [
	["/docs/miners.md", "Miners", "what to type into which miner"],
	["/docs/troubleshooting.md", "Troubleshooting", "from symptoms to causes"],
	["/docs/security.md", "Security", "what is guarded, against whom, and what is not"],
	["/docs/", "All documents", "also settings and pools"],
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
		["License", () => "MIT"],
	].map(([label, make]) => ({ label, make, value: h("dd", {}, unknown()) }));
	host.append(
		pageHead("About DPMP", "It splits the work of your miners between two pools as you choose. It has no fee and mines nothing itself."),
		h("dl", { class: "totals card" }, ...facts.map((f) => h("div", {}, h("dt", {}, f.label), f.value))),
		h(
			"div",
			{ class: "pair" },
			card("Documentation", {}, h("ul", { class: "link-list" }, ...DOCUMENTS.map(([href, name, what]) => h("li", {}, h("a", { href, target: "_blank", rel: "noopener" }, name), h("span", { class: "note" }, what))))),
			card("License", {}, h("p", {}, "DPMP is free software under the MIT license. There is no warranty."), h("p", {}, h("a", { href: "/setup" }, "Open the set-up again"))),
		),
	);
	return watchStatus((status) => facts.forEach((f) => setFigure(f.value, f.make(status))));
}
