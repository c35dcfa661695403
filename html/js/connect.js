// Connect a miner: what to type into it, by its firmware.
import * as api from "./api.js";
import { copyField, failure, h, loading, notice, pageHead, select } from "./ui.js";

export const connect = { title: "Connect a miner", mount };

function mount(host) {
	host.append(pageHead("Connect a miner", "Your wallets stay in DPMP. Miners do not need them."), h("section", { class: "card" }, connectFields()));
	return () => {};
}

export const isLocal = (host) => /^(localhost$|127\.|\[::1\])/.test(host);

/** The address of these pages for others. */
export async function pagesAddress() {
	const { public_url: set, pages } = await api.connect();
	return (set || (isLocal(location.hostname) && pages) || location.origin).replace(/\/+$/, "");
}

export function connectFields() {
	const body = h("div", { class: "stack" }, loading());
	api.connect().then((it) => body.replaceChildren(...fields(it)), (error) => body.replaceChildren(failure(error)));
	return body;
}

function fields({ port, addresses, miners, fallback_note: fallbackNote }) {
	const lines = h("div", {});
	const hint = h("p", { class: "note" });
	const asked = location.hostname;
	const local = isLocal(asked);
	const own = addresses.map((it) => (it.includes(":") ? `[${it}]` : it));
	const hosts = [...new Set(local && own.length ? own : [asked, ...own])];
	let [host] = hosts;
	let [miner] = miners;
	// A container knows only its own address, usually one of these.
	const check = notice("warning", "Check the address", "Your miners need this computer's address on your network, such as 192.168.1.10.");
	const show = () => {
		const pool = miner.fields.length === 4 ? [host, String(port)] : [`stratum+tcp://${host}:${port}`];
		const fallback = miner.fallback && h("div", { class: "copy-field" }, h("span", { class: "copy-label" }, miner.fallback), h("span", {}, fallbackNote));
		lines.replaceChildren(...[...pool, "me.rig1", "x"].map((value, i) => copyField(miner.fields[i], value)), fallback || "");
		check.hidden = !local || !(isLocal(host) || /^172\.(1[6-9]|2\d|3[01])\./.test(host));
		hint.textContent = miner.note;
	};
	show();
	return [
		select("Miner", miners.map(({ name }) => [name, name]), miner.name, (chosen) => ((miner = miners.find(({ name }) => name === chosen)), show())),
		hosts.length > 1 && select("Address", hosts.map((it) => [it, it]), host, (chosen) => ((host = chosen), show())),
		lines,
		hint,
		check,
		h("p", { class: "note" }, "rig1 is the worker's name: give each miner its own. ", h("a", { href: "/docs/miners.md", target: "_blank", rel: "noopener" }, "More about miners")),
	].filter(Boolean);
}
