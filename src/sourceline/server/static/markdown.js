// Markdown, read for showing it: which lines are headings, items, rows or code, and which characters are only markers.
//
// Nothing is rewritten: blocks and spans are offsets into the source, so that every character that is shown stands where
// it stands in the file. The passages of the API decide between readings: a marker is never part of one, but code is.

const FENCE = /^[ \t]*(`{3,}|~{3,})([^`\n]*)$/;
const ATX = /^ {0,3}#{1,6}(?=[ \t]|$)/;
const UNDERLINE = /^ {0,3}(?:=+|-+)[ \t]*$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const DELIMITER = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const ITEM = /^([ \t]*)([-*+]|\d{1,9}[.)])([ \t]+|$)(\[[ xX]\](?=[ \t]))?/;
const QUOTE = /^[ \t]*(?:>[ \t]?)+/;
const NOTE = /^\[\^[^\]\s]+\]:/;
const FRONT_MATTER = /^---[^\S\n]*\n(?:[^]*?\n)?(?:---|\.\.\.)[^\S\n]*(?:\n|$)/;
const MAX_DEPTH = 6;

export const isMarkdown = (id) => /\.(?:md|markdown)$/i.test(id);

/** Return [{ start, end }] for each line, the line end included. */
export function linesOf(text) {
  const lines = [];
  for (let start = 0; start < text.length; ) {
    const at = text.indexOf("\n", start);
    const end = at < 0 ? text.length : at + 1;
    lines.push({ start, end });
    start = end;
  }
  return lines;
}

/**
 * Reads a stretch of Markdown line by line.
 *
 * A block is { kind, start, end, markers, … }; `markers` are stretches that are hidden. Kinds: blank, hidden, text,
 * heading (level), item (depth, ordered, done), quote, code, matter, row (header), delimiter, rule, note, and other,
 * which is not searched.
 */
export class MarkdownReader {
  constructor({ text, from }) {
    this.text = text;
    this.matter = from === 0 ? FRONT_MATTER.exec(text)?.[0].length ?? 0 : 0;
    this.fence = startsInCode(text, this.matter) ? "`~" : null;
    this.comment = false;
    this.indents = []; // of the list's items around
    this.before = null; // the block before, blank ones included
  }

  /** Return what a line is. `passages` are those in it, `isCovered` tells whether an offset is inside one. */
  read({ start, end }, passages, isCovered) {
    const block = this.#classify(start, end, passages, isCovered);
    if (block.kind !== "blank" && block.kind !== "item" && !(block.depth > 0)) this.indents = [];
    this.before = { markers: [], ...block, start, end };
    return this.before;
  }

  /** Take in a line that goes on with the block before. */
  goOn({ end }) {
    this.before.end = end;
  }

  #classify(start, end, passages, isCovered) {
    const line = this.text.slice(start, end).replace(/\r?\n$/, "");
    const all = [[start, start + line.length]];
    if (start < this.matter) return { kind: "matter", markers: /^(?:---|\.\.\.)\s*$/.test(line) ? [[start, end]] : [] };
    const [quoted] = isCovered(start) ? [""] : QUOTE.exec(line) ?? [""];
    const rest = line.slice(quoted.length);
    const fence = FENCE.exec(rest.replace(ITEM, ""));
    if (this.fence) {
      const closes = fence && !fence[2].trim() && this.fence.includes(fence[1][0]);
      if (closes) this.fence = null;
      return closes ? { kind: "hidden", markers: all } : { kind: "code" };
    }
    if (fence && !passages.length) {
      this.fence = fence[1][0];
      return { kind: "hidden", markers: all };
    }
    if (this.comment || (/^[ \t]*<!--/.test(line) && !passages.length)) {
      this.comment = !line.includes("-->");
      return { kind: "hidden", markers: all };
    }
    if (!rest.trim()) return { kind: "blank" };
    return this.#table(line, all, passages) ?? this.#heading(start, line, all, passages, isCovered)
      ?? this.#item(start, line, isCovered) ?? this.#rest(start, line, quoted, passages);
  }

  #table(line, all, passages) {
    const above = this.before;
    if (DELIMITER.test(line) && !passages.length && above && this.text.slice(above.start, above.end).includes("|")
      && ["text", "row", "other"].includes(above.kind) && line.includes("-")) {
      above.kind = "row";
      above.header = true;
      return { kind: "delimiter", markers: all };
    }
    const isRow = passages.some(({ location }) => location.columns?.length)
      || ((above?.kind === "row" || above?.kind === "delimiter") && above.kind !== "blank");
    return isRow && line.includes("|") ? { kind: "row" } : null;
  }

  #heading(start, line, all, passages, isCovered) {
    const [hashes] = isCovered(start + line.search(/\S/)) ? [""] : ATX.exec(line) ?? [""];
    if (hashes) {
      const closing = /[ \t]+#+[ \t]*$/.exec(line.slice(hashes.length))?.[0].length ?? 0;
      const end = start + line.length;
      const markers = [[start, start + hashes.length]];
      if (closing && !isCovered(end - 1)) markers.push([end - closing, end]);
      return { kind: "heading", level: hashes.trim().length, markers };
    }
    if (this.before?.kind === "heading" && !this.before.level && UNDERLINE.test(line) && !passages.length) {
      this.before.level = line.trim()[0] === "=" ? 1 : 2;
      return { kind: "hidden", markers: all };
    }
    if (passages[0]?.heading && !passages[0].location.columns?.length) return { kind: "heading" };
    return RULE.test(line) && !passages.length ? { kind: "rule", markers: all } : null;
  }

  #item(start, line, isCovered) {
    const item = ITEM.exec(line);
    if (!item || isCovered(start + item[1].length)) return null;
    const [, space, bullet, , box] = item;
    const indent = widthOf(space);
    while (this.indents.length && indent < this.indents.at(-1)) this.indents.pop();
    if (!this.indents.length || indent > this.indents.at(-1) + 1) this.indents.push(indent);
    const isOrdered = /\d/.test(bullet);
    // The number of an item says something, its bullet does not.
    const hidden = isOrdered ? [] : [[start, start + space.length + bullet.length]];
    const boxStart = start + item[0].length - (box?.length ?? 0);
    if (box) hidden.push([boxStart, boxStart + box.length]);
    return {
      kind: "item", depth: Math.min(MAX_DEPTH, this.indents.length), ordered: isOrdered, markers: hidden,
      done: box ? box !== "[ ]" : null };
  }

  #rest(start, line, quoted, passages) {
    const markers = quoted ? [[start, start + quoted.length]] : [];
    if (quoted.trim()) return { kind: "quote", markers };
    if (NOTE.test(line)) return { kind: "note" };
    const indent = widthOf(/^[ \t]*/.exec(line)[0]);
    const isInList = this.indents.length > 0 && indent > this.indents.at(-1);
    const before = this.before?.kind ?? "blank";
    if (indent >= 4 && !isInList && (before === "blank" || before === "code")) return { kind: "code" };
    const depth = isInList ? Math.min(MAX_DEPTH, this.indents.length) : 0;
    return { kind: passages.length ? "text" : "other", depth };
  }
}

const widthOf = (space) => space.replaceAll("\t", "    ").length;

/** Whether a stretch begins inside code: its first fence is then one that closes, bare and with code right above it. */
function startsInCode(text, skipped) {
  const first = /^[ \t]*(`{3,}|~{3,})([^`\n]*)$/m.exec(text.slice(skipped));
  if (!first || first[2].trim()) return false;
  return /\S[^\S\n]*\n$/.test(text.slice(skipped, skipped + first.index)) && !hasProseAbove(text, skipped + first.index);
}

/** Whether the lines right above an offset are prose: a fence can follow it without a blank line between. */
function hasProseAbove(text, offset) {
  const block = text.slice(0, offset).split(/\n[^\S\n]*\n/).at(-1);
  return /[.:!?]\s*$/.test(block);
}

const CODE = /(?<!`)(`+)(?!`)([^]*?[^`])\1(?!`)/g;
const LINK = /!?\[((?:\\.|[^\[\]\\])*)\](\((?:[^()\\\n]|\\.|\([^()\n]*\))*\)|\[[^\]\n]*\])/g;
const AUTOLINK = /<([a-z][a-z0-9+.-]*:[^\s<>]*|[^\s<>@]+@[^\s<>@]+)>/gi;
const FOOTNOTE = /\[\^([^\]\s]+)\](?!:)/g;
const COMMENT = /<!--[^]*?-->/g;
const ESCAPE = /\\(?=[!-/:-@[-`{-~])/g;
const QUOTE_GOES_ON = /(?<=\n)[ \t]*(?:>[ \t]?)+/g;
const RUN = /\*+|_+|~~/g;

/** Return what stands out inside a block, as [{ start, end, tag }]; the tag of what is hidden is "marker". */
export function inlineSpans(text, start, end) {
  if (!/[*_`~[\]<>\\]/.test(text.slice(start, end))) return [];
  const source = text.slice(start, end);
  const spans = [];
  const taken = new Uint8Array(source.length); // characters that no other construct may use
  const isFree = (from, to) => !taken.subarray(from, to).includes(1);
  const take = (from, to) => taken.fill(1, from, to);
  const mark = (from, to, tag) => to > from && spans.push({ start: start + from, end: start + to, tag });
  const hide = (from, to) => {
    mark(from, to, "marker");
    take(from, to);
  };
  const each = (pattern, found) => {
    for (const match of source.matchAll(pattern)) {
      if (isFree(match.index, match.index + match[0].length)) found(match, match.index, match.index + match[0].length);
    }
  };
  each(CODE, ([, ticks], from, to) => {
    hide(from, from + ticks.length);
    mark(from + ticks.length, to - ticks.length, "code");
    hide(to - ticks.length, to);
    take(from, to);
  });
  each(COMMENT, (_, from, to) => hide(from, to));
  each(QUOTE_GOES_ON, (_, from, to) => hide(from, to));
  each(ESCAPE, (_, from) => {
    hide(from, from + 1);
    take(from, from + 2);
  });
  each(AUTOLINK, (_, from, to) => {
    hide(from, from + 1);
    mark(from + 1, to - 1, "link");
    hide(to - 1, to);
    take(from, to);
  });
  each(FOOTNOTE, (_, from, to) => {
    hide(from, from + 2);
    mark(from + 2, to - 1, "sup");
    hide(to - 1, to);
    take(from, to);
  });
  for (const match of source.matchAll(LINK)) {
    const opening = match[0].indexOf("[") + 1;
    const [from, to] = [match.index, match.index + match[0].length];
    const closing = to - match[2].length - 1;
    if (!isFree(from, from + opening) || taken[closing]) continue;
    hide(from, from + opening);
    mark(from + opening, closing, "link");
    hide(closing, to);
  }
  emphasis(source, taken, mark);
  return spans;
}

/** Find emphasis: runs of * or _ that open in front of a word and close behind one, the nearest first. */
function emphasis(source, taken, mark) {
  const openers = [];
  for (const match of source.matchAll(RUN)) {
    if (taken[match.index]) continue;
    const [from, to] = [match.index, match.index + match[0].length];
    const [before, after] = [source[from - 1] ?? " ", source[to] ?? " "];
    const isInWord = match[0][0] === "_" && /[\p{L}\p{N}]/u.test(before) && /[\p{L}\p{N}]/u.test(after);
    const run = { character: match[0][0], from, to };
    if (/\S/.test(before) && !isInWord) close(run, openers, mark);
    if (run.from < run.to && /\S/.test(after) && !isInWord) openers.push(run);
  }
}

function close(run, openers, mark) {
  for (let at = openers.length - 1; at >= 0 && run.from < run.to; at -= 1) {
    const opener = openers[at];
    if (opener.character !== run.character) continue;
    while (opener.from < opener.to && run.from < run.to) {
      const length = Math.min(2, opener.to - opener.from, run.to - run.from);
      if (opener.to === run.from) return; // nothing between
      mark(opener.to - length, opener.to, "marker");
      mark(run.from, run.from + length, "marker");
      mark(opener.to, run.from, run.character === "~" ? "del" : length === 2 ? "strong" : "em");
      opener.to -= length;
      run.from += length;
    }
    openers.splice(opener.from < opener.to ? at + 1 : at);
  }
}
