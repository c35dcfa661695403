// Log events as sentences. The fields are those of docs/events.md.
import { clock, count, duration, large, milliseconds, words } from "./format.js";
import { listWords, orderWords, sourceWords } from "./work.js";

const who = (e) => e.worker || (e.miner ? `Miner ${e.miner}` : "A miner");
const whose = (e) => (e.miner ? ` for miner ${e.miner}` : "");
const because = (text) => (text ? `: ${text}` : "");

const OUTCOMES = {
	accepted: (e, pool) => `${who(e)}: share of ${large(e.difficulty) ?? "unknown difficulty"} accepted by ${pool}${e.latency_ms ? ` after ${milliseconds(e.latency_ms)}` : ""}`,
	below_pool: (e, pool) => `${who(e)}: share below the difficulty of ${pool}, not forwarded`,
	rejected: (e, pool) => `${who(e)}: share rejected by ${pool}, ${words(e.reason ?? "no reason")}${because(e.message)}`,
	refused: (e) => `${who(e)}: share blocked by DPMP, ${words(e.reason ?? "no reason")}`,
	lost: (e, pool) => `${who(e)}: share sent to ${pool} and lost, ${words(e.reason ?? "no answer")}`,
};
const CAUSES = { start: "it begins", schedule: "its turn was over", failover: "the other has no work", config: "the other's weight is 0 now" };

const whom = (workers) => (workers?.includes("*") ? "all miners" : listWords(workers ?? []));
const change = (e, names) => `${whom(e.workers)}: ${orderWords(e.work, names)}`;

/** How each event is told: (event, name of its pool, names of both) → sentence. */
const SENTENCES = {
	started: (e) => `DPMP ${e.version} runs; miners connect to ${e.listen}`,
	stopping: () => "DPMP stops",
	stopped: (e) => `DPMP has stopped after ${duration(e.uptime_ms / 1000)}`,
	miner_connected: (e) => `Miner ${e.miner} connected from ${e.peer}`,
	miner_authorized: (e) => `${who(e)} (miner ${e.miner}) begins to work${e.user_agent ? ` with ${e.user_agent}` : ""}`,
	miner_refused: (e) => `${who(e)}: refused by every pool${because(e.message)}`,
	miner_turned_away: (e) => `Miner ${e.miner} was turned away${because(e.text)}`,
	miner_disconnected: (e) => `${who(e)} left after ${duration(e.connected_ms / 1000)}${because(e.reason)}`,
	worker_paused: (e) => `${who(e)} is paused: ${sourceWords(e.source)}`,
	worker_resumed: (e) => `${who(e)} may mine again`,
	override_set: (e, _, names) => `Temporary change for ${change(e, names)}${e.until_ms ? ` until ${clock(e.until_ms)}` : ""}`,
	override_ended: (e, _, names) => `A temporary change ended for ${change(e, names)}`,
	timetable_changed: (e, _, names) => (e.work ? `The timetable now says: ${orderWords(e.work, names)}` : "No entry of the timetable is in force now"),
	miner_idle: (e) => `Miner ${e.miner} has no pool with work`,
	miner_message_bad: (e) => `Miner ${e.miner} sent something unusable${because(e.problem)}`,
	limit_reached: (e) => `The limit ${e.limit} acted on ${e.miner ? `miner ${e.miner}` : e.peer}`,
	extranonce_changed: (e) => `Miner ${e.miner} got a new extranonce`,
	pool_learnt: (e, pool) => `${pool} lets miners roll ${e.version_mask === "00000000" ? "no version bits" : `the version bits ${e.version_mask}`}`,
	pool_dialing: (e, pool) => `Connecting to ${pool}${whose(e)}`,
	pool_ready: (e, pool) => `${pool} is ready${whose(e)}, as ${e.user}`,
	pool_lost: (e, pool) => `A connection to ${pool} ended${whose(e)}${because(e.reason)}`,
	pool_up: (e, pool) => `${pool} works`,
	pool_down: (e, pool) => `${pool} is down${because(e.reason)}`,
	pool_failover: (e, pool) => `${pool} is used at ${e.backup ? `its backup ${e.backup}` : "its first address"}, ${e.address}${because(e.reason)}`,
	pool_message: (e, pool) => `${pool} says: ${e.text}`,
	pool_message_bad: (e, pool) => `${pool} sent something unusable${because(e.problem)}`,
	pool_reconnect: (e, pool) => `${pool} asked for a new connection${whose(e)}`,
	pool_redirect_refused: (e, pool) => `${pool} wanted to send a miner to ${e.host}; that is not done`,
	version_form: (e, pool) => (e.form === "none" ? `${pool} rejects shares with every form of version bits` : `${pool} takes version bits as ${words(e.form)}`),
	job_received: (e, pool) => `New job from ${pool}${whose(e)}`,
	job_forwarded: (e, pool) => `Job of ${pool} sent to miner ${e.miner}, difficulty ${large(e.difficulty) ?? "not known"}`,
	pool_switched: (e, _, names) => `Miner ${e.miner} works for ${names[e.to] ?? e.to} now: ${CAUSES[e.cause] ?? words(e.cause)}`,
	share_result: (e, pool) => `${e.block ? "A block! " : ""}${(OUTCOMES[e.outcome] ?? (() => `${who(e)}: share ${words(e.outcome)}`))(e, pool)}`,
	block_found: (e, pool) => `${who(e)} found a block for ${pool}: ${e.hash}`,
	kept_block: (e, pool) => `${who(e)}: the block ${e.hash} went to ${pool} after all: ${e.answer}`,
	config_applied: (e) => `The configuration was changed: ${(e.changes ?? []).join("; ")}`,
	config_refused: (e) => `The configuration file was refused${because(e.problem)}`,
	config_warning: (e) => `About the configuration: ${e.text}`,
	state_problem: (e) => `The state file has a problem${because(e.problem)}`,
	accept_failed: (e) => `Miners cannot connect${because(e.problem)}`,
	slow_turn: (e) => `The machine is too busy: one turn took ${milliseconds(e.took_ms)}`,
	panicked: (e) => `An error in DPMP itself. Report it${because(e.problem)}`,
	trouble_began: (e) => e.title,
	trouble_over: (e) => `Over: ${words(e.trouble)}`,
	log_dropped: (e) => `${count(e.lines)} lines were left out here`,
	library_message: (e) => `${e.library}: ${e.text}`,
};

export function sentence(event, names) {
	const pool = event.pool ? (names[event.pool] ?? `Pool ${event.pool}`) : "A pool";
	// No capital is forced on the first letter, which may be that of a worker's or a pool's name.
	return SENTENCES[event.event]?.(event, pool, names) ?? words(event.event);
}
