// A pool and a miner that a test can bring into any kind of trouble. The miner hashes for real; the test scripts the
// pool.
import { createHash } from "node:crypto";
import { createConnection, createServer } from "node:net";
import { createInterface } from "node:readline";

/** A share of this difficulty takes some four hashes. */
const DIFFICULTY = 1e-9;

/** An address in its test vector's form (BIP 173), and the coinbase that pays it. */
export const WALLET = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const SCRIPT = "0014751e76e8199196d454941c45d1b3a323f1433bd6";
const HEIGHT = "03a0bb0d";
const COINB1 = `01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff10${HEIGHT}`;
const COINB2 = `ffffffff0100f2052a0100000016${SCRIPT}00000000`;

const hash = (bytes) => createHash("sha256").update(createHash("sha256").update(bytes).digest()).digest();
const turned = (hex) => Buffer.from(hex, "hex").reverse();
const send = (socket, message) => socket.write(`${JSON.stringify(message)}\n`);

function lines(socket, take) {
  socket.on("error", () => {});
  createInterface({ input: socket }).on("line", (line) => take(JSON.parse(line)));
}

/** Listens on a port of its own; `rejects` may be changed at any time. */
export async function startPool() {
  const sockets = new Set();
  const pool = { rejects: false, stop: null };
  let count = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    count += 1;
    const extranonce1 = count.toString(16).padStart(8, "0");
    lines(socket, ({ id, method }) => {
      const answer = (result, error = null) => send(socket, { id, result, error });
      if (method === "mining.subscribe") return answer([[["mining.notify", "1"]], extranonce1, 8]);
      if (method === "mining.configure") return answer({});
      if (method === "mining.submit") return pool.rejects ? answer(null, [23, "low difficulty share", null]) : answer(true);
      answer(true);
      if (method !== "mining.authorize") return;
      send(socket, { id: null, method: "mining.set_difficulty", params: [DIFFICULTY] });
      // The previous block has the work that Bitcoin requires.
      const job = ["1", `00000001${"0".repeat(56)}`, COINB1, COINB2, [], "20000000", "1d00ffff", Math.floor(Date.now() / 1000).toString(16), true];
      send(socket, { id: null, method: "mining.notify", params: job });
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  pool.port = server.address().port;
  pool.stop = () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  };
  return pool;
}

/** Sends a share about ten times a second until it is stopped. */
export function startMiner(port, user) {
  const socket = createConnection(port, "127.0.0.1");
  let [extranonce1, size, difficulty, job, number] = ["", 4, 1, null, 0];
  lines(socket, ({ id, result, method, params }) => {
    if (id === 1) [, extranonce1, size] = result;
    if (method === "mining.set_difficulty") [difficulty] = params;
    if (method === "mining.notify") job = params;
  });
  send(socket, { id: 1, method: "mining.subscribe", params: ["browser-test/1"] });
  send(socket, { id: 2, method: "mining.authorize", params: [user, "x"] });
  const timer = setInterval(() => job && find(job), 100);

  function find([name, previous, coinb1, coinb2, branches, version, nbits, ntime]) {
    number += 1;
    const extranonce2 = number.toString(16).padStart(2 * size, "0");
    let root = hash(Buffer.from(coinb1 + extranonce1 + extranonce2 + coinb2, "hex"));
    for (const branch of branches) root = hash(Buffer.concat([root, Buffer.from(branch, "hex")]));
    const words = previous.match(/.{8}/g).map(turned);
    for (let nonce = 0; nonce < 10_000; nonce += 1) {
      const hex = nonce.toString(16).padStart(8, "0");
      const header = Buffer.concat([turned(version), ...words, root, turned(ntime), turned(nbits), turned(hex)]);
      const value = BigInt(`0x${hash(header).reverse().toString("hex")}`);
      if (Number((0xffffn << 208n) * 1_000_000_000_000n / (value + 1n)) < difficulty * 1e12) continue;
      send(socket, { id: 3 + number, method: "mining.submit", params: [user, name, extranonce2, ntime, hex] });
      return;
    }
  }

  return {
    /** Stays connected and finds nothing more. */
    hang: () => clearInterval(timer),
    stop() {
      clearInterval(timer);
      socket.destroy();
    },
  };
}
