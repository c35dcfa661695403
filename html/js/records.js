// Records: the blocks that were found.
import * as api from "./api.js";
import { ago, clock, count } from "./format.js";
import { poll } from "./live.js";
import { card, failure, h, icon, pageHead, poolBadge, unknown } from "./ui.js";

export const records = { title: "Records", mount };

function mount(host) {
  const blocks = part("Blocks found", "Each block is kept as a file. It shows a pool's support what was found.", "No block yet. It will appear here the moment one is found.", ["Found", "Height", "Pool", "Worker", "Answer of the pool", "Hash and file"]);
  host.append(pageHead("Records"), blocks.element);
  return poll(api.blocks, 5000, (answer) => blocks.show(answer.blocks.map(blockRow)), blocks.fail);
}

/** A card with a table that scrolls sideways on its own. */
function part(title, note, none, heads, actions = []) {
  const place = h("div", { class: "as-table", role: "region", tabindex: "0", "aria-label": `${title}: table` });
  let shown = null;
  return {
    element: card(title, { note, actions }, place),
    /** `rows`: functions that make a row's cells, each with what they are made of, so that nothing is made anew in vain. */
    show(rows) {
      const now = JSON.stringify(rows.map((row) => row.of));
      if (now === shown) return;
      shown = now;
      const body = rows.map((row) => h("tr", {}, ...row.cells().map((cell) => h("td", {}, cell ?? unknown()))));
      const table = () => h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, ...body));
      place.replaceChildren(rows.length ? table() : h("p", { class: "note" }, none));
    },
    fail(error) {
      shown = null;
      place.replaceChildren(failure(error));
    },
  };
}

function blockRow(block) {
  const short = `${block.hash.slice(0, 8)}…${block.hash.slice(-8)}`;
  const hash = () => (block.explorer ? h("a", { href: block.explorer, target: "_blank", rel: "noopener noreferrer" }, short) : h("code", { title: block.hash }, short));
  const file = () => h("a", { href: api.downloads.block(block.name), download: "", "aria-label": `Download the file of block ${short}` }, icon("download"));
  const when = h("time", { title: ago(block.found_ms, Date.now()) }, clock(block.found_ms));
  return { of: block, cells: () => [when, count(block.height), pool(block.pool, block.pool_name), block.worker, block.answer ?? "none yet", h("span", {}, hash(), " ", file())] };
}

const pool = (slot, name) => h("span", {}, poolBadge(slot), " ", name ?? "");
