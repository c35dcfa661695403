// Connect a miner: what to type into it, by its firmware.
import * as api from "./api.js";
import { copyField, failure, h, loading, notice, pageHead, select } from "./ui.js";

export const connect = { title: "Connect a miner", mount };

function mount(host) {
	host.append(pageHead("Connect a miner", "Your wallets stay in DPMP. Miners do not need them."), h("section", { class: "card" }, connectFields()));
	return () => {};
}

/** The fields to copy, for a page that has them among other things. */
export function connectFields() {
	const body = h("div", { class: "stack" }, loading());
	api.connect().then((it) => body.replaceChildren(...fields(it)), (error) => body.replaceChildren(failure(error)));
	return body;
}

function fields({ port, addresses, miners }) {
	const lines = h("div", {});
	const hint = h("p", { class: "note" });
	const asked = location.hostname;
	const local = /^(localhost|127\.|\[::1\])/.test(asked);
	// A container knows only its own address, so that it has to be checked.
	const own = addresses.map((it) => (it.includes(":") ? `[${it}]` : it));
	const hosts = [...new Set(local && own.length ? own : [asked, ...own])];
	let [host] = hosts;
	let [miner] = miners;
	const show = () => {
		const pool = miner.fields.length === 4 ? [host, String(port)] : [`stratum+tcp://${host}:${port}`];
		lines.replaceChildren(...[...pool, "me.rig1", "x"].map((value, i) => copyField(miner.fields[i], value)));
		hint.textContent = miner.note;
	};
	show();
	return [
		select("Miner", miners.map(({ name }) => [name, name]), miner.name, (chosen) => ((miner = miners.find(({ name }) => name === chosen)), show())),
		hosts.length > 1 && select("Address", hosts.map((it) => [it, it]), host, (chosen) => ((host = chosen), show())),
		lines,
		hint,
		local && notice("warning", "Check the address", "You opened this page on the machine itself. Your miners need its address in your network, such as 192.168.1.10."),
		h("p", { class: "note" }, "rig1 is the worker's name: give each miner its own. ", h("a", { href: "/docs/miners.md", target: "_blank", rel: "noopener" }, "More about miners")),
	].filter(Boolean);
}
