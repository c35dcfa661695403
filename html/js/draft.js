// A draft of the configuration: what is saved, what the owner wants, and which inputs are
// unusable. Unknown keys stay as they are.

const COPY = (value) => JSON.parse(JSON.stringify(value));
const isSection = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

export function read(config, path) {
	return path.split(".").reduce((at, part) => (isSection(at) ? at[part] : undefined), config);
}

function write(config, path, value) {
	const parts = path.split(".");
	const last = parts.pop();
	const section = parts.reduce((at, part) => (isSection(at[part]) ? at[part] : (at[part] = {})), config);
	if (value === undefined) delete section[last];
	else section[last] = value;
}

/** All paths. A table counts as one, because names in it may have dots. */
function settings(config, tables, front = "") {
	return Object.entries(config).flatMap(([name, value]) => {
		const path = front + name;
		return isSection(value) && Object.keys(value).length && !tables.has(path) ? settings(value, tables, `${path}.`) : [path];
	});
}

function differing(before, after, tables) {
	const paths = new Set([...settings(before, tables), ...settings(after, tables)]);
	return [...paths].filter((path) => JSON.stringify(read(before, path)) !== JSON.stringify(read(after, path)));
}

const titles = new Map();

export const titleOf = (path) => titles.get(path) ?? path;

export class Draft {
	constructor(answer) {
		this.take(answer);
		this.wanted = COPY(answer.config);
		/** Unusable texts of inputs, by path. */
		this.unusable = new Map();
	}

	take(answer) {
		this.etag = answer.etag;
		this.base = COPY(answer.config);
		this.schema = answer.schema;
		this.sections = answer.sections;
		this.knownPools = answer.known_pools;
		answer.schema.forEach((key) => titles.set(key.path, `${answer.sections.find((it) => it.path === key.section).title}: ${key.title}`));
		this.tables = new Set(answer.schema.filter((key) => key.kind === "table").map((key) => key.path));
		this.secretsSet = new Set(answer.secrets_set);
		this.pendingRestart = answer.pending_restart;
		this.warnings = answer.warnings;
		this.path = answer.path;
	}

	value(key) {
		return read(this.wanted, key.path) ?? key.default;
	}

	set(path, value) {
		write(this.wanted, path, value);
	}

	changed() {
		return differing(this.base, this.wanted, this.tables);
	}

	dirty() {
		return this.unusable.size > 0 || this.changed().length > 0;
	}

	/** Moves the owner's changes to a newer configuration. Returns what both have changed. */
	rebase(answer) {
		const mine = this.changed();
		const theirs = new Set(differing(this.base, answer.config, this.tables));
		const wanted = COPY(answer.config);
		mine.forEach((path) => write(wanted, path, read(this.wanted, path)));
		this.take(answer);
		this.wanted = wanted;
		return mine.filter((path) => theirs.has(path));
	}
}
