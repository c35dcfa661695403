// Connect a miner: what to type into it, by its firmware.
import { watchStatus } from "./live.js";
import { copyField, h, loading, notice, pageHead, select } from "./ui.js";

/** The names of the fields, in their order: host and port apart or in one, then user and password. */
const FIRMWARE = {
	other: ["Any miner", ["Pool or URL", "User", "Password"]],
	axeos: ["Bitaxe (AxeOS)", ["Stratum Host", "Stratum Port", "User", "Password"], "Save, then restart the miner."],
	nerdqaxe: ["NerdQAxe, NerdAxe", ["Stratum Host", "Stratum Port", "Username", "Password"], "Choose failover, not dual, and turn Coinbase Verification off."],
	nerdminer: ["NerdMiner", ["Pool url", "Pool port", "Your BTC address", "Pool password"], "Here the field for the address takes any name."],
	avalon: ["Avalon", ["Pool 1", "Worker", "Password"], "It restarts by itself."],
	antminer: ["Antminer, Whatsminer, Vnish, LuxOS", ["URL", "Worker", "Password"]],
	braiins: ["Braiins OS", ["url", "user", "password"]],
	command: ["cgminer, cpuminer", ["-o", "-u", "-p"]],
};

export const connect = { title: "Connect a miner", mount };

function mount(host) {
	const fields = connectFields();
	host.append(pageHead("Connect a miner", "Your wallets stay in DPMP. Miners do not need them."), h("section", { class: "card" }, fields.element));
	return fields.stop;
}

/** The fields to copy, for a page that has them among other things. */
export function connectFields() {
	const lines = h("div", {}, loading());
	const hint = h("p", { class: "note" });
	const warning = h("div", { class: "notices" });
	let firmware = "other";
	let listen = null;
	const show = () => {
		if (!listen) return;
		const [, names, text = ""] = FIRMWARE[firmware];
		const { host, local } = address(listen);
		const pool = names.length === 4 ? [host, String(listen.port)] : [`stratum+tcp://${host}:${listen.port}`];
		lines.replaceChildren(...[...pool, "me.rig1", "x"].map((value, i) => copyField(names[i], value)));
		hint.textContent = text;
		warning.replaceChildren(...(local ? [notice("warning", "Check the address", "You opened this page on the machine itself. Your miners need its address in your network, such as 192.168.1.10.")] : []));
	};
	const stop = watchStatus((status) => {
		if (JSON.stringify(listen) === JSON.stringify(status.listen)) return;
		listen = status.listen;
		show();
	});
	return {
		element: h(
			"div",
			{ class: "stack" },
			select("Miner", Object.entries(FIRMWARE).map(([key, [name]]) => [key, name]), firmware, (chosen) => ((firmware = chosen), show())),
			lines,
			hint,
			warning,
			h("p", { class: "note" }, "rig1 is the worker's name: give each miner its own. ", h("a", { href: "/docs/miners.md", target: "_blank", rel: "noopener" }, "More about miners")),
		),
		stop,
	};
}

/** Where miners find this machine: as the browser did, or else as the server sees itself. */
function address({ addresses }) {
	const asked = location.hostname;
	const local = /^(localhost|127\.|\[::1\])/.test(asked);
	// A container knows only its own address, so that it has to be checked.
	return { local, host: (local && addresses.find((it) => !it.includes(":"))) || asked };
}
