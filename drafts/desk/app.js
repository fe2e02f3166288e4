// The desk's behaviour: open an answer, place its margin note, draw the map, walk by keyboard.
{
const $ = (s, r = document) => r.querySelector(s), $$ = (s, r = document) => [...r.querySelectorAll(s)];
const sheet = $(".sheet"), map = $(".map"), note = $(".note"), marks = $$("mark.hit").sort((a, b) => a.dataset.n - b.dataset.n);
const wide = matchMedia("(min-width: 56.01rem)");
const notes = JSON.parse($("#notes")?.textContent || "{}");
let now = marks.findIndex((m) => m.classList.contains("cited"));

const topOf = (el) => el.getBoundingClientRect().top - sheet.getBoundingClientRect().top + sheet.scrollTop;

function show(i, { move = true } = {}) {
  if (!marks[i]) return;
  now = i;
  const mark = marks[i], n = mark.dataset.n, para = mark.closest(".para");
  marks.forEach((m) => m.classList.toggle("cited", m === mark));
  $$(".answer, .hit-link").forEach((el) => el.removeAttribute("aria-current"));
  const link = $(`[data-open="${n}"]`);
  link?.closest(".answer")?.setAttribute("aria-current", "true");
  link?.setAttribute("aria-current", "true");
  $$(".count").forEach((c) => { c.textContent = `${i + 1} of ${marks.length}`; });
  if (note && sheet.clientHeight) {
    para.append(note);
    note.style.setProperty("--y", "0px");
    note.style.setProperty("--y", `${mark.getClientRects()[0].top - para.getBoundingClientRect().top}px`);
    if (notes[n]) { $("b", note).textContent = notes[n][0]; $(".where", note).textContent = notes[n][1]; $("code", note).textContent = notes[n][2]; }
  }
  if (move) sheet.scrollTop = topOf(mark) - Math.min(sheet.clientHeight * 0.28, Math.max(8, sheet.clientHeight - mark.getBoundingClientRect().height - 8));
  draw();
}

function draw() {
  if (!map || !sheet.clientHeight) return;
  const all = sheet.scrollHeight - sheet.clientHeight * 0.4, px = map.clientHeight / all;
  const make = (tag, y, height, cls = "") => {
    const el = Object.assign(document.createElement(tag), { className: cls });
    el.style.top = `${y}px`;
    if (height) el.style.height = `${height}px`;
    return el;
  };
  const ticks = marks.map((m, i) => ({ i, n: m.dataset.n, y: topOf(m) * px })).sort((a, b) => a.y - b.y);
  // Ticks nearer than a finger share one target, which goes from one to the next.
  const near = ticks.reduce((all, t) => { const last = all.at(-1); if (last && t.y - last.at(-1).y < 24) last.push(t); else all.push([t]); return all; }, []);
  map.replaceChildren(...$$(".para .t").map((p) => make("i", topOf(p) * px, Math.max(1, p.offsetHeight * px - 2))),
    ...ticks.map((t) => make("u", t.y, 0, t.i === now ? "on" : "")), make("div", 0, 0, "win"),
    ...near.map((group) => {
      const a = make("a", Math.max(0, group[0].y - 12), group.at(-1).y - group[0].y + 24);
      a.href = "#document";
      a.ariaLabel = `${group.length > 1 ? "Answers" : "Answer"} ${group.map((t) => t.n).join(", ")}, ${Math.round(100 * group[0].y / map.clientHeight)} % into the document`;
      a.onclick = (e) => { e.preventDefault(); show(group[(group.findIndex((t) => t.i === now) + 1) % group.length].i); };
      return a;
    }));
  win();
}
function win() {
  const w = $(".win"), all = sheet.scrollHeight - sheet.clientHeight * 0.4, px = map.clientHeight / all;
  if (w) { w.style.top = `${sheet.scrollTop * px}px`; w.style.height = `${Math.min(map.clientHeight - sheet.scrollTop * px, sheet.clientHeight * px)}px`; }
}
const reading = (on) => { document.body.classList.toggle("reading", on); if (on) requestAnimationFrame(() => show(now < 0 ? 0 : now)); };
const openAt = (i) => { if (!wide.matches && location.hash !== "#document") { now = i; location.hash = "document"; } else show(i); };
const byN = (n) => marks.findIndex((m) => m.dataset.n === String(n));

if (sheet) {
  addEventListener("hashchange", () => reading(location.hash === "#document"));
  addEventListener("resize", () => show(now, { move: false }));
  sheet.addEventListener("scroll", win, { passive: true });
  document.addEventListener("click", (e) => {
    const el = e.target.closest("[data-open], mark.hit, [data-step], .back");
    if (!el) return;
    if (el.matches(".back")) { history.back(); return; }
    if (el.dataset.open) e.preventDefault();
    if (el.dataset.step) show((now + +el.dataset.step + marks.length) % marks.length);
    else openAt(byN(el.dataset.open ?? el.dataset.n));
  });
  $(".find")?.addEventListener("input", (e) => {
    const q = e.target.value.toLowerCase(), ranges = [];
    CSS.highlights?.clear();
    if (q.length < 2) return;
    const walk = document.createTreeWalker($(".page"), NodeFilter.SHOW_TEXT);
    for (let t; (t = walk.nextNode());) for (let at = t.data.toLowerCase().indexOf(q); at >= 0; at = t.data.toLowerCase().indexOf(q, at + 1)) {
      const r = new Range(); r.setStart(t, at); r.setEnd(t, at + q.length); ranges.push(r);
    }
    if (ranges[0]) { sheet.scrollTop += ranges[0].getBoundingClientRect().top - sheet.getBoundingClientRect().top - sheet.clientHeight * 0.28; CSS.highlights?.set("found", new Highlight(...ranges)); }
  });
  reading(location.hash === "#document");
  show(now < 0 ? 0 : now);
}
document.addEventListener("click", (e) => {
  $$("details.menu[open], details.verdict[open]").forEach((d) => { if (!d.contains(e.target)) d.open = false; });
  const copy = e.target.closest("[data-copy]");
  if (copy) { navigator.clipboard?.writeText(copy.dataset.copy); const t = $(".toast"); t.textContent = "Citation copied"; setTimeout(() => { t.textContent = ""; }, 1600); }
});
document.addEventListener("keydown", (e) => {
  if (e.key === "Escape") { $$("details.menu[open], details.verdict[open]").forEach((d) => { d.open = false; }); if (e.target.matches?.("input")) e.target.blur(); return; }
  if (e.target.closest?.("input, textarea") || e.ctrlKey || e.metaKey || e.altKey) return;
  const step = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 }[e.key];
  if (step && marks.length) { e.preventDefault(); show(Math.max(0, Math.min(marks.length - 1, now + step))); $(`[data-open="${marks[now].dataset.n}"]`)?.focus({ preventScroll: false }); }
  else if (e.key === "/") { e.preventDefault(); $("#q")?.focus(); $("#q")?.select(); }
  else if (e.key === "f" && $(".find")) { e.preventDefault(); $(".find").focus(); }
});
}
