import { clock, ratio } from "./format.js";

const UNUSABLE = new Set(["down", "not_set_up"]);

export function stateOf({ stopping, set_up: setUp, pools, miners_connected: connected, miners_working: working, alerts }) {
	if (stopping) return { kind: "warning", words: "Stopping" };
	if (!setUp) return { kind: "warning", words: "Not set up yet" };
	const used = Object.values(pools).filter((pool) => pool.in_use);
	if (used.length > 0 && used.every((pool) => UNUSABLE.has(pool.state))) return { kind: "error", words: "Nothing is mined" };
	if (connected === 0) return { kind: "warning", words: "Ready, no miner" };
	if (working === 0) return { kind: "warning", words: "No miner works" };
	return { kind: alerts.some((it) => it.level === "error" || it.id.startsWith("miner_hangs")) ? "warning" : "good", words: "Mining" };
}

/** What is mined against the settings: { a, why }, or null. No `a`: nothing. */
export function forcedSplit({ pools, miners_working: working }) {
	if (working === 0) return { why: "Nothing is mined now." };
	const [lost, other] = UNUSABLE.has(pools.A.state) ? [pools.A, pools.B] : [pools.B, pools.A];
	if (!lost.in_use || !UNUSABLE.has(lost.state) || UNUSABLE.has(other.state)) return null;
	const since = clock(lost.state_since_ms);
	return { a: lost === pools.A ? 0 : 100, why: `No work for ${lost.name}${since && ` since ${since}`}` };
}

/** "Last hour 70.4:29.6, within luck (± 1.2%)" */
export function measuredWords({ split }) {
	const window = split.windows.find((it) => it.seconds === 3600);
	if (!window || window.share_a === null || window.known_seconds < 60) return "Not measured yet";
	const known = window.known_seconds < 0.95 * window.seconds ? `${Math.round(window.known_seconds / 60)} min` : "hour";
	return `Last ${known} ${ratio(window.share_a)}, ${window.verdict.short}`;
}
