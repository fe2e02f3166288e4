// Sets a stretch of a document: its text as elements, each sentence a link.
//
// Every character of the stretch becomes text of the page, in order, those that are hidden included: the text content
// of the elements is the text of the document, so that what is selected can be told by counting characters.

import { describeTime } from "./citation.js";
import { make, makeQuote } from "./dom.js";
import { MarkdownReader, inlineSpans, isMarkdown, linesOf } from "./markdown.js";

const TIME_EVERY = 60; // seconds between times that are shown where nobody is named
const VERBATIM = new Set(["code", "matter"]);

/**
 * Return { element, sentences } for a stretch, whose passages have `start` and `end` in its text.
 *
 * `sentences` maps a citation to its elements: more than one where a sentence goes over the cells of a table.
 * `makeLink` returns the link of a passage.
 */
export function set(stretch, id, makeLink) {
  const setter = new Setter(stretch, makeLink);
  const blocks = isMarkdown(id) ? markdownBlocks(stretch) : plainBlocks(stretch);
  for (const block of blocks) setter.add(block);
  return { element: setter.element, sentences: setter.sentences };
}

/** Return a function from offsets that only grow to the passages that reach into a stretch. */
function passagesIn({ passages }) {
  let next = 0;
  return (start, end) => {
    while (next < passages.length && passages[next].end <= start) next += 1;
    let last = next;
    while (last < passages.length && passages[last].start < end) last += 1;
    return passages.slice(next, last);
  };
}

/** Whether a line goes on with the block before: a sentence goes over the line end, or a paragraph does. */
function goesOn(block, above, passages, start) {
  if (!block || !passages.length) return false;
  const isSearched = !["blank", "other", "hidden", "delimiter"].includes(block.kind);
  return passages[0].start < start || (isSearched && above?.location.paragraph === passages[0].location.paragraph);
}

function plainBlocks(stretch) {
  const find = passagesIn(stretch);
  const blocks = [];
  let above = null; // the last passage
  for (const { start, end } of linesOf(stretch.text)) {
    const passages = find(start, end);
    if (goesOn(blocks.at(-1), above, passages, start)) blocks.at(-1).end = end;
    else if (passages.length) {
      blocks.push({ kind: passages[0].heading ? "heading" : "text", start, end });
    } else blocks.push({ kind: stretch.text.slice(start, end).trim() ? "other" : "blank", start, end });
    above = passages.at(-1) ?? above;
  }
  return blocks;
}

function markdownBlocks(stretch) {
  const find = passagesIn(stretch);
  const reader = new MarkdownReader(stretch);
  const blocks = [];
  let above = null;
  for (const line of linesOf(stretch.text)) {
    const passages = find(line.start, line.end);
    const isCovered = (offset) => passages.some(({ start, end }) => start <= offset && offset < end);
    if (goesOn(blocks.at(-1), above, passages, line.start)) reader.goOn(line);
    else blocks.push(reader.read(line, passages, isCovered));
    above = passages.at(-1) ?? above;
  }
  return blocks;
}

class Setter {
  constructor(stretch, makeLink) {
    Object.assign(this, stretch);
    this.element = make("div", { class: "stretch" });
    this.sentences = new Map();
    this.makeLink = makeLink;
    this.next = 0; // the first passage that is not set yet
    this.group = null; // the list, the table or the code that the next block may belong to
    this.said = { speaker: null, time: -Infinity, page: null };
  }

  add(block) {
    const spans = (block.markers ?? []).map(([start, end]) => ({ start, end, tag: "marker" }));
    if (block.markers && !VERBATIM.has(block.kind)) spans.push(...inlineSpans(this.text, block.start, block.end));
    this.spans = spans;
    this.notePage(block);
    if (block.kind === "blank" || block.kind === "hidden" || block.kind === "delimiter") {
      this.fill(this.placeOf(block), block.start, block.end);
    } else if (block.kind === "row") this.addRow(block);
    else {
      const element = this.container(block);
      this.fill(element, block.start, block.end);
      const said = this.saidIn(block);
      if (said) element.dataset.said = said;
    }
  }

  /** Return where what is not shown goes: into what is open, so that a list or a table is not torn apart. */
  placeOf(block) {
    if (this.group?.kind === "row" && block.kind === "delimiter") return this.group.last;
    if (this.group?.kind === "item" && block.kind === "blank") return this.group.last;
    this.group = null;
    return this.element;
  }

  container(block) {
    const { kind, depth, level, done } = block;
    const indented = depth ? ` depth-${depth}` : "";
    if (VERBATIM.has(kind)) return this.grouped(kind, () => makeQuote("pre", { class: `block ${kind}` }));
    if (kind === "item") {
      const list = this.grouped(kind, () => make("ul", { class: "items" }));
      const state = done === null || done === undefined ? "" : done ? " done" : " open";
      const item = makeQuote("li", { class: `block${indented}${block.ordered ? " ordered" : ""}${state}` });
      list.append(item);
      this.group.last = item;
      return item;
    }
    this.group = null;
    const tag = { heading: "h3", quote: "blockquote", rule: "div" }[kind] ?? "p";
    const names = { heading: `level-${level ?? 2}`, text: "", other: "gap" };
    const name = kind === "other" && this.namesSpeaker(block) ? "who" : names[kind] ?? kind;
    const element = makeQuote(tag, { class: `block ${name}${indented}`.trimEnd() });
    this.element.append(element);
    return element;
  }

  /** Whether a line between the sentences says who speaks in the next one. */
  namesSpeaker({ start, end }) {
    while (this.passages[this.next]?.end <= start) this.next += 1;
    const speaker = this.passages[this.next]?.location.speaker;
    return Boolean(speaker && this.text.slice(start, end).includes(speaker));
  }

  /** Return the element that holds consecutive blocks of a kind. */
  grouped(kind, create) {
    if (this.group?.kind !== kind) {
      this.group = { kind, element: create() };
      this.element.append(this.group.element);
    }
    return this.group.element;
  }

  addRow(block) {
    const table = this.grouped("row", () => makeQuote("table", { class: "block" }, make("tbody")));
    const row = make("tr");
    for (const { start, end } of cellsOf(this.text, block, this.spans)) {
      const isEmpty = !this.text.slice(start, end).replaceAll("|", "").trim();
      const cell = makeQuote(block.header && !isEmpty ? "th" : "td", block.header && !isEmpty ? { scope: "col" } : {});
      this.fill(cell, start, end);
      row.append(cell);
      this.group.last = cell;
    }
    table.tBodies[0].append(row);
  }

  /** Append the text of a block, or of a part of it, with its sentences as links. */
  fill(parent, start, end) {
    let position = start;
    while (this.next < this.passages.length && this.passages[this.next].end <= start) this.next += 1;
    for (let at = this.next; at < this.passages.length && this.passages[at].start < end; at += 1) {
      const passage = this.passages[at];
      const [from, to] = [Math.max(passage.start, start), Math.min(passage.end, end)];
      if (from > position) this.quiet(parent, position, from, passage);
      const pieces = this.sentences.get(passage.citation) ?? [];
      const link = this.makeLink(passage, pieces.length > 0);
      this.sentences.set(passage.citation, [...pieces, link]);
      this.append(link, from, to);
      parent.append(link);
      position = to;
    }
    if (position < end) this.quiet(parent, position, end);
  }

  append(parent, start, end) {
    parent.append(...pieces(this.text, start, end, this.spans));
  }

  /** Append text outside the sentences. */
  quiet(parent, start, end, passage) {
    const text = this.text.slice(start, end);
    const core = text.trim();
    const isHidden = this.spans.some((span) => span.tag === "marker" && span.start <= start && span.end >= end);
    if (!core || isHidden) {
      this.append(parent, start, end);
      return;
    }
    const from = start + text.indexOf(core);
    const speaker = passage?.location.speaker;
    const gap = make("span", { class: speaker && core.includes(speaker) ? "gap speaker" : "gap" });
    if (from > start) parent.append(text.slice(0, from - start));
    this.append(gap, from, from + core.length);
    parent.append(gap);
    if (from + core.length < end) parent.append(text.slice(from - start + core.length));
  }

  /** Return who speaks in a block and when, where that changes and the text does not say it. */
  saidIn({ start, end }) {
    let at = this.next;
    while (this.passages[at]?.start < start) at += 1;
    const passage = this.passages[at];
    if (!passage || passage.start >= end) return null;
    const { speaker, time } = passage.location;
    const gap = this.text.slice(at ? this.passages[at - 1].end : 0, passage.start);
    const isNew = (speaker ?? null) !== this.said.speaker;
    const isDue = time && (isNew || (!speaker && time.start >= this.said.time + TIME_EVERY));
    this.said.speaker = speaker ?? null;
    if (isDue) this.said.time = time.start;
    const name = isNew && speaker && !gap.includes(speaker) ? speaker : null;
    const when = isDue && !/\d:\d\d/.test(gap) ? describeTime(time) : null;
    return [name, when].filter(Boolean).join(" · ") || null;
  }

  /** Show where a page of the printed document begins. */
  notePage({ start, end }) {
    while (this.next < this.passages.length && this.passages[this.next].end <= start) this.next += 1;
    const passage = this.passages[this.next];
    const page = passage && passage.start < end ? passage.location.page : null;
    if (!page || page === this.said.page) return;
    if (this.said.page !== null || page > 1) {
      this.element.append(make("div", { class: "page", "data-page": `Page ${page}` }));
      this.group = null;
    }
    this.said.page = page;
  }
}

/** Return the text in the elements that the spans around it ask for. */
function wrap(text, spans) {
  if (spans.some(({ tag }) => tag === "marker")) return make("span", { class: "marker" }, text);
  return spans.reduce((inner, { tag }) =>
    (tag === "link" ? make("span", { class: "link" }, inner) : make(tag, {}, inner)), text);
}

/** Return the cells of a row as { start, end }; each ends behind its bar, and bars are marked as hidden. */
function cellsOf(text, { start, end }, spans) {
  const isCode = (offset) => spans.some((span) => span.tag === "code" && span.start <= offset && offset < span.end);
  const cells = [];
  let first = start;
  for (let at = start; at < end; at += 1) {
    if (text[at] !== "|" || text[at - 1] === "\\" || isCode(at)) continue;
    spans.push({ start: at, end: at + 1, tag: "marker" });
    if (!text.slice(first, at).trim() && !cells.length && first === start) continue; // the bar in front of the row
    cells.push({ start: first, end: at + 1 });
    first = at + 1;
  }
  if (text.slice(first, end).trim() || !cells.length) cells.push({ start: first, end });
  else cells.at(-1).end = end;
  return cells;
}

/** Return a stretch of text as nodes, with the elements that its spans ask for. */
function pieces(text, start, end, spans) {
  const inside = spans.filter((span) => span.start < end && span.end > start);
  const cuts = [start, end, ...inside.flatMap((span) => [span.start, span.end])];
  const sorted = [...new Set(cuts.filter((cut) => cut >= start && cut <= end))].sort((a, b) => a - b);
  return sorted.slice(1).map((to, at) => {
    const around = inside.filter((span) => span.start <= sorted[at] && span.end >= to);
    return wrap(text.slice(sorted[at], to), around);
  });
}

/** Return parts of a text as lists of nodes: the text of a document of this id, set, and with marks where they are. */
export function setInline(text, id, parts, marks = []) {
  const spans = [...marks.map((mark) => ({ ...mark, tag: "mark" })),
    ...(isMarkdown(id) ? inlineSpans(text, 0, text.length) : [])];
  return parts.map(({ start, end }) => pieces(text, start, end, spans));
}
