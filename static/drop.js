// Files that are dropped on a page which takes one, and how far an import has come.
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const zone = () => one("[data-drop]");
  const isFile = (event) => Boolean(one("#import")) && event.dataTransfer?.types.includes("Files");
  const mark = (isOver) => zone()?.toggleAttribute("data-over", isOver);
  const complain = (message) => document.dispatchEvent(new CustomEvent("toast", { detail: { message, kind: "error" } }));
  // What is counted is for the eye: read out, it would never end.
  const say = (form, text, live = "polite") => {
    const place = one("[data-said]", form);
    place.setAttribute("aria-live", live);
    place.classList.toggle("t-fail", live === "assertive");
    place.textContent = text;
  };
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

  // Beside the zone as well: the browser would leave the page to show the file.
  document.addEventListener("dragover", (event) => { if (isFile(event)) { event.preventDefault(); mark(true); } });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  document.addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    mark(false);
    const { files } = event.dataTransfer;
    if (!zone()) { complain("A file is shown here already. Use “Choose another file” first."); return; }
    if (files.length !== 1) { complain("Drop one file at a time."); return; }
    const field = one("[type=file]", zone());
    field.files = files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (!field.matches("[data-drop] [type=file]") || !field.files.length) return;
    const [file] = field.files;
    const most = Number(field.form.dataset.most);
    if (file.size > most) {
      field.value = "";
      complain(`${file.name} has ${megabytes(file.size)}. A file may have at most ${megabytes(most)}: export fewer at a time.`);
      return;
    }
    field.form.requestSubmit();
  });
  document.addEventListener("submit", ({ target }) => {
    const file = target.matches("[data-drop]") && one("[type=file]", target).files[0];
    if (file) say(target, `Looking at ${file.name}, ${megabytes(file.size)}…`);
  });
  document.addEventListener("htmx:afterRequest", ({ target }) => { if (target.matches("[data-drop]")) say(target, ""); });

  // An import has a key of its own: sent again, it is done once and answered the same.
  const TRIES = 12, PAUSE = 5000, NO_ANSWER = [502, 503, 504];
  const ASKING = "No answer came. Carillon is asked again whether the import took effect…";
  const LOST = "Carillon does not answer. Once the connection is back, import again from this page: what was done already is not done twice.";
  const FAILED = "Carillon could not finish this import. Import again: what was done already is not done twice.";
  const SIGNED_OUT = "You are signed out, and nothing was imported. Sign in again in another tab, then import again from here.";
  const lines = async function* (stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const found = (rest + part.value).split("\n");
      rest = found.pop();
      yield* found.filter(Boolean).map((line) => JSON.parse(line));
    }
  };
  const tell = (form, { done, total }) => {
    Object.assign(one("progress", form), { max: total, value: done });
    say(form, `${done} of ${total}`, "off");
  };
  const answerOf = async (form, body) => {
    const headers = { Accept: "application/x-ndjson", "HX-Request": "true" };
    const answer = await fetch(form.action, { method: "POST", body, headers });
    if (!answer.headers.get("Content-Type")?.startsWith(headers.Accept)) return { status: answer.status, html: await answer.text() };
    for await (const line of lines(answer.body)) if (line.html === undefined) tell(form, line); else return line;
    throw new Error(LOST);
  };
  const askAgain = async (form, body) => {
    for (let tries = 1; ; tries += 1) {
      const found = await answerOf(form, body).catch(() => null);
      if (found && !NO_ANSWER.includes(found.status)) return found;
      if (tries === TRIES) throw new Error(LOST);
      one("progress", form).removeAttribute("value");
      say(form, ASKING);
      await new Promise((go) => setTimeout(go, PAUSE));
    }
  };
  const show = ({ status, html }) => {
    const found = new DOMParser().parseFromString(html, "text/html");
    if (!found.querySelector("#import")) {
      throw new Error(found.querySelector("[role=alert] p")?.textContent ?? (status < 500 ? `The import was refused (${status}). Reload the page, then try again.` : FAILED));
    }
    htmx.swap("#import", html, { swapStyle: "outerHTML" });
    one("#import [data-error-summary], #import [autofocus]")?.focus();
  };
  const send = async (form) => {
    const found = await askAgain(form, new FormData(form));
    if (found.status === 401) {
      document.dispatchEvent(new Event("signed-out"));
      throw new Error(SIGNED_OUT);
    }
    show(found);
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-progress]") || event.submitter?.hasAttribute("formaction")) return;
    event.preventDefault();
    const bar = one("progress", form);
    bar.hidden = false;
    say(form, "Checking the file…");
    // Beside its button, which a notice would lie upon.
    send(form).catch((error) => say(form, error.message, "assertive")).finally(() => {
      bar.hidden = true;
      bar.removeAttribute("value");
      delete form.dataset.sending;
      for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
    });
  });
})();
