// Tells the style sheet, before anything is painted, which view the address asks for. Not a module: those run later.

window.setView = () => {
  const params = new URLSearchParams(location.search);
  const view = params.get("view");
  const { dataset } = document.documentElement;
  const hasQuestion = Boolean(params.get("q")?.trim());
  const hasDocument = params.has("cite") || params.has("document");
  if (view === "verify" || view === "documents") dataset.view = hasDocument ? "ask" : view;
  else dataset.view = hasQuestion || hasDocument ? "ask" : "front";
  // On a narrow screen the answers and the document are two sheets, one above the other.
  dataset.sheet = hasDocument ? "document" : "answers";
};
window.setView();
