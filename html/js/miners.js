// Miners: all of them in a table that stays fluent with thousands, totals, filters, CSV.
import * as api from "./api.js";
import { count, hashrate, large, trimmed } from "./format.js";
import { poll, watchStatus } from "./live.js";
import { openMiner } from "./miner.js";
import { COLUMNS, minerTable } from "./minertable.js";
import { failure, h, icon, loading, pageHead, segmented, select, setFigure, setText, unknown } from "./ui.js";

export const miners = { title: "Miners", mount };

function mount(host) {
  let answer = null;
  let status = null;
  const filter = { text: "", show: "all", pool: "" };
  const table = minerTable((miner) => openMiner(miner, status), sortChanged);
  const totals = totalLine();
  const found = h("p", { class: "note", role: "status" });
  const problem = h("div", {});
  const waiting = loading();
  const search = h("input", { type: "search", placeholder: "Worker, address or software", "aria-label": "Find miners", oninput: () => ((filter.text = search.value.trim().toLowerCase()), refresh()) });
  const sortBox = select("Sort by", COLUMNS.map((c) => [c.key, c.title]), table.sort.key, (key) => table.sortBy(key, null));
  const csv = h("a", { class: "button", href: api.downloads.minersCsv, download: "" }, icon("download"), "CSV");
  const tools = h(
    "div",
    { class: "toolbar" },
    h("div", { class: "search" }, icon("search"), search),
    segmented("Which miners", [["all", "All"], ["here", "Connected"], ["left", "Left"]], "all", (value) => ((filter.show = value), refresh())),
    select("Pool now", [["", "any"], ["A", "A"], ["B", "B"]], "", (value) => ((filter.pool = value), refresh())),
    sortBox,
  );
  host.append(pageHead("Miners", "Every connection of a miner, as it is now.", csv), totals.element, tools, problem, waiting, table.element, found);

  function sortChanged({ key }) {
    sortBox.querySelector("select").value = key;
  }

  function refresh({ keepOrder = false } = {}) {
    if (!answer) return;
    const all = [...answer.miners, ...answer.left];
    const shown = all.filter((miner) => fits(miner, filter));
    table.show(shown, answer.now_ms, keepOrder);
    totals.show(answer);
    setText(found, all.length === 0 ? "No miner has connected yet. Enter this machine's address in your miner; Config and Set-up show the exact line." : shown.length === all.length ? `${count(all.length)} in the table` : `${count(shown.length)} of ${count(all.length)} fit`);
  }

  const stopStatus = watchStatus((now) => (status = now));
  const stop = poll(
    api.miners,
    2000,
    (now) => {
      answer = now;
      waiting.remove();
      problem.replaceChildren();
      refresh({ keepOrder: true });
    },
    (error) => error.code !== "no_answer" && problem.replaceChildren(failure(error)),
  );
  return () => {
    stop();
    stopStatus();
    table.leave();
  };
}

function fits(miner, { text, show, pool }) {
  if (show !== "all" && (miner.left_ms !== null) !== (show === "left")) return false;
  if (pool && miner.pool !== pool) return false;
  if (!text) return true;
  return [miner.worker, miner.address, miner.software].some((part) => part?.toLowerCase().includes(text));
}

/** Sums over the connected miners. A sum of nothing known is not known. */
function totalLine() {
  const entries = [
    ["Connected", (list) => count(list.length)],
    ["Hashrate, 5 min", (list) => hashrate(sum(list, (m) => m.hashrate_5m))],
    ["Shares a minute", (list) => rate(sum(list, (m) => m.shares_per_minute))],
    ["Accepted", (list) => count(list.reduce((n, m) => n + m.accepted.A + m.accepted.B, 0))],
    ["Rejected", (list) => count(list.reduce((n, m) => n + m.rejected, 0))],
    ["Best share", (list) => large(list.reduce((best, m) => Math.max(best, m.best_share?.difficulty ?? 0), 0) || null)],
  ].map(([label, make]) => ({ value: h("dd", {}, unknown()), label, make }));
  return {
    element: h("dl", { class: "totals card" }, ...entries.map((e) => h("div", {}, h("dt", {}, e.label), e.value))),
    show: ({ miners: list }) => entries.forEach((e) => setFigure(e.value, e.make(list))),
  };
}

function sum(list, read) {
  const known = list.map(read).filter((v) => v !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
}

function rate(value) {
  return value === null || value >= 10 ? count(value) : trimmed(value, 1);
}
