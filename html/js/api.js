// The API of docs/api.md, with the token and all errors in one place.

const BASE = "/api/v1";

class ApiError extends Error {
	constructor(status, code, message, { field = null, details = [], retryAfter = null } = {}) {
		super(message);
		Object.assign(this, { status, code, field, details, retryAfter });
	}
}

/** The token of a view-only link. It is after the #, which browsers never send. */
const view = location.hash.match(/^#view=(dpmp_\w+)$/)?.[1];

export const viewing = () => view !== undefined;
export const leaveView = () => location.replace("/");
/** Whether a revoked view-only link led here. */
export const linkEnded = location.search === "?ended";

let token = null;
const listeners = { login: new Set(), password: new Set() };

export function onPassword(listener) {
	listeners.password.add(listener);
}

export function onLoginRequired(listener) {
	listeners.login.add(listener);
}

async function send(method, path, body, { seconds = 10, signal } = {}) {
	const headers = body === undefined ? {} : { "Content-Type": "application/json", "X-DPMP-Token": token ?? "" };
	if (view) headers.Authorization = `Bearer ${view}`;
	const timeout = AbortSignal.timeout(seconds * 1000);
	const stopped = new AbortController();
	const stop = () => stopped.abort();
	timeout.addEventListener("abort", stop);
	signal?.addEventListener("abort", stop);
	if (signal?.aborted) stop();
	try {
		const answer = await fetch(BASE + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: stopped.signal, cache: "no-store" });
		const text = await answer.text();
		return { answer, data: parse(text) };
	} catch (error) {
		if (signal?.aborted) throw error;
		throw new ApiError(0, "no_answer", "DPMP does not answer.");
	} finally {
		signal?.removeEventListener("abort", stop);
	}
}

function parse(text) {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}

function failed(answer, data) {
	const error = data?.error ?? {};
	return new ApiError(answer.status, error.code ?? "failed", error.message ?? `The server answered with status ${answer.status}.`, {
		field: error.field,
		details: error.details ?? [],
		retryAfter: answer.headers.get("Retry-After"),
	});
}

async function request(method, path, body, options = {}) {
	if (body !== undefined && token === null) await session();
	let { answer, data } = await send(method, path, body, options);
	if (data?.error?.code === "bad_token") {
		// The server has restarted and has a new token.
		await session();
		({ answer, data } = await send(method, path, body, options));
	}
	if (answer.ok) return data;
	const error = failed(answer, data);
	if (error.code === "wrong_token" && view) location.replace("/?ended");
	if (error.code === "login_required") listeners.login.forEach((listener) => listener());
	throw error;
}

const get = (path, options) => request("GET", path, undefined, options);
const post = (path, body, options) => request("POST", path, body, options);
const put = (path, body, options) => request("PUT", path, body, options);
const remove = (path, body, options) => request("DELETE", path, body, options);

export async function session() {
	const { answer, data } = await send("GET", "/session");
	if (!answer.ok) throw failed(answer, data);
	token = data.token;
	listeners.password.forEach((listener) => listener(data.password_set));
	return data;
}

/** A password waits while someone else tries many. */
const PASSWORD_SECONDS = { seconds: 60 };
export const login = (password) => post("/login", { password }, PASSWORD_SECONDS);
export const logout = () => post("/logout", {});
export async function changePassword(current, next) {
	const { password_set: set } = await post("/password", { current, new: next }, PASSWORD_SECONDS);
	listeners.password.forEach((listener) => listener(set));
}
export const tokens = () => get("/tokens");
export const makeToken = (name, may, password) => post("/tokens", { name, may, password }, PASSWORD_SECONDS);
export const revokeToken = (name, password) => remove("/tokens", { name, password }, PASSWORD_SECONDS);
export const status = () => get("/status");
export const miners = () => get("/miners");
export const miner = (id) => get(`/miners/${id}`);
export const history = (range, worker) => get(`/history?range=${range}${worker ? `&worker=${encodeURIComponent(worker)}` : ""}`);
export const blocks = () => get("/blocks");
export const records = () => get("/records");
export const ledger = () => get("/ledger");
export const connect = () => get("/connect");
export const config = () => get("/config");
export const validate = (etag, wanted, signal) => post("/config/validate", { etag, config: wanted }, { signal });
export const validateRestore = (wanted) => post("/config/validate", { config: wanted, restore: true });
export const saveConfig = (etag, wanted) => put("/config", { etag, config: wanted });
export const editPools = (config, edit) => post("/config/pools", { config, edit });
export const restore = (text) => post("/config/restore", { text });
export const weights = (a, b, before) => put("/weights", { A: a, B: b, before });
export const steering = () => get("/steering");
export const preview = (wanted, signal) => post("/steering/preview", wanted, { signal });
export const setOverride = (change) => put("/override", change);
export const endOverride = (workers, before) => remove("/override", { workers, before_ms: before });
export const setWorkers = (workers) => put("/workers", { workers });
export const testPool = (pool) => post("/pool-test", pool, { seconds: 40 });
export const notify = () => get("/notify");
export const testNotify = (name, target) => post("/notify/test", { name, target }, { seconds: 30 });
export const alertSeen = (id) => post("/alerts/seen", { id });
export const events = (after, wait, signal) => get(`/events?${after === null ? "limit=1000" : `after=${after}&wait=${wait}&limit=1000`}`, { seconds: wait + 10, signal });
export const pastEvents = (query) => get(`/logs?${new URLSearchParams(query)}`);

export const downloads = {
	block: (name) => `${BASE}/blocks/${name}`,
	ledgerCsv: `${BASE}/ledger.csv?days=3653`,
	minersCsv: `${BASE}/miners.csv`,
	backup: `${BASE}/config/backup`,
	logs: (wallets) => `${BASE}/logs/download?wallets=${wallets}`,
	openapi: `${BASE}/openapi.json`,
};
