// The search page: the address says what is asked, the answer is drawn from JSON.
//
// Everything that comes from outside is put in as text, never as HTML.
"use strict";

const HUB = "https://huggingface.co/";
const SVG = "http://www.w3.org/2000/svg";
const FILTERS = ["task", "licence", "language", "library", "size", "since", "until"];
const answer = document.getElementById("answer");
const searchForm = document.getElementById("search");
const personForm = document.getElementById("person");
let asked = 0; // an answer to an earlier question is dropped

// --- elements ------------------------------------------------------------------------------------

/** An element with attributes and children; strings become text. */
function make(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function draw(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.flat().filter((child) => child !== null && child !== ""));
  return element;
}

/** A link to another answer of this page. */
function link(parameters, ...children) {
  return make("a", { href: address(parameters) }, ...children);
}

function address(parameters) {
  const query = new URLSearchParams(parameters).toString();
  return query ? `/?${query}` : "/";
}

function onTheHub(kind, id) {
  const part = { dataset: "datasets/", space: "spaces/" }[kind] ?? "";
  return HUB + part + id.split("/").map(encodeURIComponent).join("/");
}

// --- what is asked -------------------------------------------------------------------------------

async function show() {
  const query = new URLSearchParams(location.search);
  fillForms(query);
  const views = { lineage: showLineage, trace: showTrace, similar: showSimilar };
  const view = views[query.get("view")];
  if (view) await view(query);
  else if (query.has("user")) await showRecommended(query);
  else if (query.has("q") || FILTERS.some((name) => query.get(name))) await showFound(query);
  else answer.replaceChildren(welcome());
}

function fillForms(query) {
  for (const field of searchForm.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") field.checked = query.get(field.name) !== "off";
    else if (query.has(field.name) || !query.has("view")) field.value = query.get(field.name) ?? initial(field);
  }
  personForm.elements.user.value = query.get("user") ?? "";
  const set = FILTERS.filter((name) => query.get(name));
  document.getElementById("filtered").textContent = set.length ? `(${set.length} set)` : "";
  if (set.length) document.getElementById("filters").open = true;
}

function initial(field) {
  return field.tagName === "SELECT" ? field.options[0].value : "";
}

searchForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const parameters = new URLSearchParams();
  for (const [name, value] of new FormData(searchForm)) {
    const isDefault = name === "rerank" || (name === "k" && value === "10");
    if (value && !isDefault) parameters.set(name, value);
  }
  if (!searchForm.elements.rerank.checked) parameters.set("rerank", "off");
  parameters.set("kind", searchForm.elements.kind.value);
  if (!parameters.has("q")) parameters.set("q", "");
  go(address(parameters));
});

personForm.addEventListener("submit", (event) => {
  event.preventDefault();
  go(address({ user: personForm.elements.user.value.trim() }));
});

// Links within the page change the answer, not the page.
document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a[href^='/']");
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) && event.button === 0;
  if (anchor && plain && !anchor.hasAttribute("target")) {
    event.preventDefault();
    go(anchor.getAttribute("href"));
  }
});

addEventListener("popstate", show);

function go(to) {
  history.pushState(null, "", to);
  show().then(() => answer.focus({ preventScroll: false }));
}

/** Asks the server; returns null where the answer is an error, which is shown, or came too late. */
async function ask(question, parameters) {
  const number = ++asked;
  answer.setAttribute("aria-busy", "true");
  const waiting = setTimeout(() => answer.replaceChildren(make("p", {}, "Looking …")), 400);
  let found, failed;
  try {
    const response = await fetch(`/api/${question}?${new URLSearchParams(parameters)}`);
    const body = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
    if (response.ok) found = body;
    else failed = body.error;
  } catch {
    failed = "the server does not answer; is hfkg serve still running?";
  }
  clearTimeout(waiting);
  if (number !== asked) return null;
  answer.setAttribute("aria-busy", "false");
  if (failed) answer.replaceChildren(make("p", { class: "error", role: "alert" }, failed));
  return found ?? null;
}

// --- answers -------------------------------------------------------------------------------------

function welcome() {
  return make("p", { class: "note" },
    "Say in your own words what a model or dataset should do. Every answer tells why it is one: " +
    "the words and the meaning that fit, and its place in the graph.");
}

async function showFound(query) {
  const parameters = new URLSearchParams(query);
  const found = await ask("search", parameters);
  if (found) showHits(query.get("q") ? `For “${cut(query.get("q"), 120)}”` : "Passing the filters", found);
}

async function showSimilar(query) {
  const found = await ask("similar", query);
  if (found) showHits(`Like ${query.get("id")}`, found);
}

async function showRecommended(query) {
  const found = await ask("recommend", query);
  if (found) showHits(`For ${query.get("user")}`, found);
}

function showHits(title, found) {
  answer.replaceChildren(
    make("h2", {}, title),
    ...found.notes.map((note) => make("p", { class: "note" }, note)),
    found.hits.length
      ? make("ol", { class: "hits" }, found.hits.map(hitItem))
      : make("p", { class: "nothing" }, "Nothing found."),
    snapshotLine(found),
  );
}

function snapshotLine(found) {
  return make("p", { class: "facts" }, `Snapshot of ${found.snapshot}`);
}

function hitItem(hit) {
  return make("li", { class: "hit" },
    make("h3", {},
      `${hit.rank}. `,
      make("a", { href: onTheHub(hit.kind, hit.id), target: "_blank", rel: "noreferrer" }, hit.id),
      make("span", { class: "kind" }, hit.kind)),
    factList(hit.facts),
    hit.excerpt ? make("p", {}, ...marked(hit.excerpt, hit.matched)) : null,
    hit.reasons.length ? make("ul", { class: "why", "aria-label": "Why" }, hit.reasons.map(reasonItem)) : null,
    make("p", { class: "go" },
      hit.kind === "space" ? null : link({ view: "similar", id: hit.id, kind: hit.kind }, "Similar"),
      hit.kind === "model" ? link({ view: "lineage", id: hit.id }, "Lineage") : null,
      hit.kind === "model" ? link({ view: "trace", id: hit.id }, "Bases") : null));
}

function reasonItem(reason) {
  return make("li", {},
    reason.text,
    // One step is what the text says already.
    reason.path.length > 3 ? make("span", { class: "path" }, ` — ${reason.path.join(" → ")}`) : null);
}

const FACTS = {
  tasks: "for", licence: "licence", library: "library", libraries: "library",
  languages: "language", size: "size", likes: "likes", downloads: "downloads", created_at: "created",
};

function factList(facts) {
  const items = Object.entries(facts)
    .map(([name, value]) => [FACTS[name] ?? name, factText(name, value)])
    .filter(([, text]) => text !== "");
  return items.length
    ? make("ul", { class: "facts" }, items.map(([name, text]) => make("li", {}, `${name} ${text}`)))
    : null;
}

function factText(name, value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.slice(0, 4).join(", ") + (value.length > 4 ? " …" : "");
  if (typeof value === "number") return value.toLocaleString("en");
  if (name.endsWith("_at")) return String(value).slice(0, 10);
  return String(value);
}

/** A text in pieces, with the words that were matched marked. */
function marked(text, words) {
  const escaped = words.filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!escaped.length) return [text];
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(${escaped.join("|")})(?![\\p{L}\\p{N}])`, "giu");
  return text.split(pattern).map((piece, i) => (i % 2 ? make("mark", {}, piece) : piece));
}

// --- bases ---------------------------------------------------------------------------------------

async function showTrace(query) {
  const found = await ask("trace", query);
  if (!found) return;
  const head = ["Base", "Known", "Probability", "What speaks for it"];
  const rows = found.bases.map((base) => make("tr", {},
    make("td", {}, link({ view: "lineage", id: base.id }, base.id)),
    make("td", {}, base.is_known ? `yes, ${steps(base.depth)} up` : "predicted"),
    make("td", { class: "number" }, base.probability === null ? "" : base.probability.toFixed(2)),
    make("td", {}, make("ul", { class: "why" }, base.evidence.map(reasonItem)))));
  answer.replaceChildren(
    make("h2", {}, `Bases of ${found.id}`),
    tabs(found.id),
    ...found.notes.map((note) => make("p", { class: "note" }, note)),
    rows.length
      ? make("table", {},
          make("thead", {}, make("tr", {}, head.map((title) => make("th", { scope: "col" }, title)))),
          make("tbody", {}, rows))
      : make("p", { class: "nothing" }, "No base is known."),
    snapshotLine(found),
  );
}

function steps(depth) {
  return depth === 1 ? "1 step" : `${depth} steps`;
}

function tabs(id) {
  return make("p", { class: "go" },
    link({ view: "lineage", id }, "Lineage"),
    link({ view: "trace", id }, "Bases"),
    link({ view: "similar", id, kind: "model" }, "Similar"),
    make("a", { href: onTheHub("model", id), target: "_blank", rel: "noreferrer" }, "On the Hub"));
}

// --- lineage -------------------------------------------------------------------------------------

const BOX = { width: 250, height: 40, across: 90, down: 12 };

async function showLineage(query) {
  const found = await ask("lineage", query);
  if (!found) return;
  const deeper = Number(query.get("depth") ?? 3) + 1;
  answer.replaceChildren(
    make("h2", {}, `Lineage of ${found.id}`),
    tabs(found.id),
    make("p", { class: "facts" },
      `${plural(found.ancestor_count, "model")} above it, ${plural(found.descendant_count, "model")} below it. `,
      "Follow a box to walk on. ",
      link({ view: "lineage", id: found.id, depth: deeper }, "One step further")),
    make("div", { class: "picture", tabindex: "0", role: "region", "aria-label": "Lineage picture" }, picture(found)),
    snapshotLine(found),
  );
  const own = answer.querySelector("svg .self");
  own?.scrollIntoView({ block: "nearest", inline: "center" });
}

function plural(count, thing) {
  return `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
}

/** Bases to the left, the model in the middle, what derives from it to the right. */
function picture(found) {
  const left = placed(found.ancestors), right = placed(found.descendants);
  const columns = left.depth + right.depth + 1;
  const rows = Math.max(left.rows, right.rows);
  const height = rows * (BOX.height + BOX.down) + BOX.down;
  const width = columns * BOX.width + (columns - 1) * BOX.across + 2 * BOX.down;
  const x = (column) => BOX.down + (left.depth + column) * (BOX.width + BOX.across);
  // Each side is centred by itself, so that the model is one box for both.
  const middle = height / 2;
  const y = (side, node) => middle + (node.row - side.root.row) * (BOX.height + BOX.down) - BOX.height / 2;
  const all = [
    ...left.nodes.map((node) => ({ node, x: x(-node.column), y: y(left, node), toLeft: true, side: left })),
    ...right.nodes.slice(1).map((node) => ({ node, x: x(node.column), y: y(right, node), side: right })),
  ];
  const top = Math.min(...all.map((box) => box.y)) - BOX.down;
  const bottom = Math.max(...all.map((box) => box.y)) + BOX.height + BOX.down;
  const edges = all.filter(({ node }) => node.above).map((box) => edge(box, x, y));
  return draw("svg", {
    viewBox: `0 ${top} ${width} ${bottom - top}`, width, height: bottom - top,
    "aria-label": `Lineage of ${found.id}`,
  }, edges, all.map((box) => modelBox(box, found.id)));
}

/** The nodes of a tree with their columns and rows: leaves one below the other. */
function placed(tree) {
  const nodes = [];
  let rows = 0, depth = 0;
  const place = (relative, column, above) => {
    const node = { relative, column, above, row: 0 };
    nodes.push(node);
    depth = Math.max(depth, column);
    const below = relative.relatives.map((next) => place(next, column + 1, node));
    if (relative.more && column > 0 && !below.length) node.open = true;
    if (relative.more && below.length) {
      const rest = { more: relative.more, column: column + 1, above: node, row: rows++ };
      nodes.push(rest);
      below.push(rest);
    }
    node.row = below.length ? (below[0].row + below.at(-1).row) / 2 : rows++;
    return node;
  };
  const root = place(tree, 0, null);
  return { nodes, rows, depth, root };
}

function edge(box, x, y) {
  const { node, toLeft, side } = box;
  const from = { x: x(toLeft ? -node.above.column : node.above.column), y: y(side, node.above) };
  const start = toLeft ? from.x : from.x + BOX.width;
  const end = toLeft ? box.x + BOX.width : box.x;
  const half = (start + end) / 2, a = from.y + BOX.height / 2, b = box.y + BOX.height / 2;
  const relation = node.relative?.relation;
  return draw("g", {},
    draw("path", { class: "edge", d: `M${start} ${a} C${half} ${a} ${half} ${b} ${end} ${b}` }),
    relation ? draw("text", {
      class: "relation", x: toLeft ? end + 6 : end - 6, y: b - 4, "text-anchor": toLeft ? "start" : "end",
    }, relation.split("_")[1]) : null);
}

function modelBox(box, self) {
  const { node, x, y } = box;
  if (node.more) {
    return draw("text", { class: "faint", x: x + 8, y: y + BOX.height / 2 + 4 }, `and ${node.more.toLocaleString("en")} more`);
  }
  const { id, facts, repeated, more } = node.relative;
  const [name, owner] = id.split("/").reverse();
  const known = [
    owner ? cut(owner, 18) : "",
    facts.likes ? `${facts.likes.toLocaleString("en")} ♥` : "",
    repeated ? "shown elsewhere" : node.open ? `${more.toLocaleString("en")} further` : facts.licence ?? "",
  ].filter(Boolean).join(" · ");
  const content = [
    draw("title", {}, id),
    draw("rect", { x, y, width: BOX.width, height: BOX.height, rx: 6 }),
    draw("text", { x: x + 8, y: y + 17 }, cut(name, 30)),
    draw("text", { class: "faint", x: x + 8, y: y + 32 }, cut(known, 40)),
  ];
  const style = id === self && !node.above ? "self" : repeated ? "repeated" : "";
  if (style === "self") return draw("g", { class: "self" }, content);
  return draw("a", { class: style, href: address({ view: "lineage", id }), "aria-label": `Lineage of ${id}` }, content);
}

function cut(text, length) {
  const letters = [...text];
  return letters.length > length ? letters.slice(0, length - 1).join("") + "…" : text;
}

// --- filters -------------------------------------------------------------------------------------

async function fillChoices() {
  try {
    const response = await fetch("/api/choices");
    if (!response.ok) return;
    const choices = await response.json();
    for (const [name, values] of Object.entries(choices.values)) {
      const list = document.getElementById(`choices-${name}`);
      list?.replaceChildren(...values.map((value) => make("option", { value })));
    }
    document.getElementById("footer").textContent =
      `${choices.documents.toLocaleString("en")} models and datasets, snapshot of ${choices.snapshot}`;
  } catch {
    // The filters work without being told what there is.
  }
}

show();
fillChoices();
