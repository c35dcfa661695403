// Polls the server while someone looks at the page.
import * as api from "./api.js";

const RETRY_MS = 5000;

/** Returns a function that ends it. */
export function poll(read, everyMs, show, fail = () => {}) {
	let timer = null;
	let running = true;
	let asking = false;
	let once = false;
	const ask = async () => {
		once = asking;
		if (asking) return;
		asking = true;
		clearTimeout(timer);
		let pause = everyMs;
		try {
			const answer = await read();
			if (running) show(answer);
		} catch (error) {
			pause = Math.min(everyMs, RETRY_MS);
			if (running) fail(error);
		}
		asking = false;
		if (running && !document.hidden) timer = setTimeout(ask, once ? 0 : pause);
	};
	const wake = () => !document.hidden && ask();
	document.addEventListener("visibilitychange", wake);
	ask();
	const stop = () => {
		running = false;
		clearTimeout(timer);
		document.removeEventListener("visibilitychange", wake);
	};
	stop.soon = ask;
	return stop;
}

/** A slower answer counts as a problem. */
const SLOW_MS = 6000;
const watchers = new Set();
const troubled = new Set();
let latest = null;
let latestMs = null;
let stopStatus = null;

/** Calls `show` now if the status is known, and after each read. Returns a function that ends it. */
export function watchStatus(show) {
	watchers.add(show);
	if (latest) show(latest);
	return () => watchers.delete(show);
}

/**
 * Calls `tell(problem, sinceMs)` when the status cannot be read, with a sentence and when it was read
 * last, and `tell(null)` when it is read: what is shown must not grow old silently.
 */
export function watchTrouble(tell) {
	troubled.add(tell);
}

export function startStatus() {
	const tell = (problem) => troubled.forEach((listener) => listener(problem, latestMs));
	const ask = async () => {
		const slow = setTimeout(tell, SLOW_MS, "DPMP is slow to answer.");
		try {
			return await api.status();
		} finally {
			clearTimeout(slow);
		}
	};
	const take = (status) => {
		latest = status;
		latestMs = Date.now();
		tell(null);
		watchers.forEach((show) => show(status));
	};
	stopStatus ??= poll(ask, 2000, take, (error) => tell(error.message));
}

export function endStatus() {
	stopStatus?.();
	stopStatus = null;
	latest = null;
	watchers.clear();
	troubled.clear();
	stopSteering?.();
	stopSteering = steering = null;
	steered.clear();
}

const STEERING_MS = 3000;
const steered = new Set();
let steering = null;
let stopSteering = null;

/** The same for GET /steering. */
export function watchSteering(show) {
	steered.add(show);
	if (steering) show(steering);
	const take = (answer) => {
		steering = answer;
		steered.forEach((each) => each(answer));
	};
	stopSteering ??= poll(api.steering, STEERING_MS, take);
	return () => {
		steered.delete(show);
		if (steered.size > 0) return;
		stopSteering?.();
		stopSteering = steering = null;
	};
}

export function steeringChanged() {
	stopSteering?.soon();
}
