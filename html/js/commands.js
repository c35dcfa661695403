// Commands that steer the work, each with a message and an undo.
import * as api from "./api.js";
import { upcoming } from "./format.js";
import { steeringChanged } from "./live.js";
import { toast } from "./ui.js";
import { listWords, orderWords } from "./work.js";

/** Runs a command and shows an error. Returns whether it worked. */
export async function command(run, { done, back = null, failed = "Not changed" } = {}) {
	try {
		await run();
	} catch (error) {
		toast(`${failed}: ${error.message}`, { level: "error" });
		return false;
	} finally {
		steeringChanged();
	}
	if (done) toast(done, { action: back && { label: "Undo", run: () => command(back, { done: "Undone." }) } });
	return true;
}

export const isForAll = (change) => change.workers.includes("*");
export const changeForAll = (steering) => steering.overrides.find(isForAll) ?? null;

const sameWorkers = (x, y) => JSON.stringify([...x].sort()) === JSON.stringify([...y].sort());
const asSet = ({ work, workers, until_ms }) => ({ work, workers, until_ms });

/** "until 07:00", or "until you change it". */
export function endWords(untilMs, nowMs) {
	return untilMs === null ? "until you change it" : `until ${upcoming(untilMs, nowMs)}`;
}

function backTo(steering, workers) {
	const earlier = steering.overrides.find((change) => sameWorkers(change.workers, workers));
	return (before) => (earlier ? api.setOverride({ ...asSet(earlier), before_ms: before }) : api.endOverride(workers, before));
}

/** When the last change for one of these workers was made, so that nobody replaces one unseen. */
const lastChange = (steering, workers) => Math.max(0, ...steering.overrides.filter((it) => it.workers.some((name) => workers.includes(name))).map((it) => it.set_ms));

/**
 * Sets a temporary change. `end`: { until_ms } or { for_seconds }. `clear`: workers that lose their own work, so that
 * the change holds for them, too.
 */
export function setTemporary({ work, workers, end, clear = [] }, steering, names) {
	const now = steering.clock.now_ms;
	const until = end.for_seconds ? now + 1000 * end.for_seconds : end.until_ms;
	const back = backTo(steering, workers);
	let set;
	const own = Object.fromEntries(steering.workers.filter((it) => clear.includes(it.worker)).map((it) => [it.worker, { work: it.own }]));
	const whom = workers.includes("*") ? "" : ` for ${listWords(workers)}`;
	return command(
		async () => {
			try {
				({ set_ms: set } = await api.setOverride({ work, workers, ...end, before_ms: lastChange(steering, workers) }));
			} catch (error) {
				// The owner now knows that there is another change, and may replace it.
				if (error.code === "conflict") await see(steering);
				throw error;
			}
			try {
				if (clear.length) await api.setWorkers(withoutWork(clear));
			} catch (error) {
				// The next try replaces the owner's own change.
				await see(steering);
				throw error;
			}
		},
		{
			done: `${orderWords(work, names, "Paused")}${whom} ${endWords(until, now)}.`,
			back: async () => {
				await back(set);
				if (clear.length) await api.setWorkers(own);
			},
		},
	);
}

const see = async (steering) => (steering.overrides = (await api.steering()).overrides);
const withoutWork = (workers) => Object.fromEntries(workers.map((worker) => [worker, { work: null }]));

export function endTemporary(change, steering, done) {
	const before_ms = lastChange({ overrides: steering.overrides.filter((it) => it !== change) }, change.workers);
	return command(() => api.endOverride(change.workers, change.set_ms), { done, back: () => api.setOverride({ ...asSet(change), before_ms }) });
}

/** Sets or removes settings of workers: { worker: { work, name, … } }; null removes a key. */
export function setWorkers(settings, steering, done) {
	const before = {};
	for (const [worker, wanted] of Object.entries(settings)) {
		const had = steering.workers.find((it) => it.worker === worker);
		const earlier = { work: had?.own ?? null, name: had?.name || null, turns: had?.turns === "never" ? "never" : null, failover: had?.failover ?? null };
		before[worker] = Object.fromEntries(Object.keys(wanted).map((key) => [key, earlier[key]]));
	}
	return command(() => api.setWorkers(settings), { done, back: () => api.setWorkers(before) });
}

/** `change(config)` edits the configuration in place. */
export async function changeConfig(change) {
	for (let attempt = 0; ; attempt += 1) {
		const file = await api.config();
		change(file.config);
		try {
			return await api.saveConfig(file.etag, file.config);
		} catch (error) {
			// Someone saved in between: change what they saved.
			if (error.code !== "conflict" || attempt === 2) throw error;
		} finally {
			steeringChanged();
		}
	}
}

export function mistakes(error) {
	return error.details.length ? error.details.map((it) => `${it.field} cannot be ${it.found}. Allowed: ${it.allowed}.`) : [error.message];
}
