// Files that are dropped on a page which takes one, and how far an import has come.
(() => {
  const zone = () => document.querySelector("[data-drop]");
  const isFile = (event) => Boolean(zone()) && event.dataTransfer?.types.includes("Files");
  const mark = (isOver) => zone()?.toggleAttribute("data-over", isOver);
  const complain = (message) => document.dispatchEvent(new CustomEvent("toast", { detail: { message, kind: "error" } }));

  // Beside the zone as well: the browser would leave the page to show the file.
  document.addEventListener("dragover", (event) => { if (isFile(event)) { event.preventDefault(); mark(true); } });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  document.addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    mark(false);
    const field = zone().querySelector("[type=file]");
    field.files = event.dataTransfer.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-drop] [type=file]") && event.target.files.length) event.target.form.requestSubmit();
  });

  const LOST = "The connection ended before the answer came. Reload the list to see whether the import took effect.";
  const lines = async function* (stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const found = (rest + part.value).split("\n");
      rest = found.pop();
      yield* found.map((line) => JSON.parse(line));
    }
  };
  const tell = (form, { done, total }) => {
    const bar = form.querySelector("progress");
    Object.assign(bar, { hidden: false, max: total, value: done });
    form.querySelector("[data-said]").textContent = `${done} of ${total}`;
  };
  const show = (html) => {
    htmx.swap("#import", html, { swapStyle: "outerHTML" });
    document.querySelector("#import [data-error-summary], #import [autofocus]")?.focus();
  };
  const send = async (form) => {
    const headers = { Accept: "application/x-ndjson", "HX-Request": "true" };
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers });
    let last = null;
    if (!answer.headers.get("Content-Type").startsWith(headers.Accept)) last = { status: answer.status, html: await answer.text() };
    else for await (const line of lines(answer.body)) if (line.html === undefined) tell(form, line); else last = line;
    if (!last) throw new Error(LOST);
    if (last.status < 400 || [409, 422].includes(last.status)) { show(last.html); return; }
    const notice = new DOMParser().parseFromString(last.html, "text/html").querySelector("[role=alert] p");
    throw new Error(notice?.textContent ?? `The import was refused (${last.status}). Reload the page, then try again.`);
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-progress]") || event.submitter?.hasAttribute("formaction")) return;
    event.preventDefault();
    const button = form.querySelector("button.btn-primary");
    if (button.disabled) return;
    button.disabled = true;
    Object.assign(form.querySelector("progress"), { hidden: false });
    send(form).catch((error) => {
      complain(error instanceof TypeError ? LOST : error.message);
      button.disabled = false;
      form.querySelector("progress").hidden = true;
    });
  });
})();
