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
  // What a plan was made with is chosen on it: another choice, another plan.
  document.addEventListener("change", ({ target }) => {
    if (target.matches("form[data-progress] [role=switch]")) target.form.requestSubmit(one("[formaction]", target.form));
  });

  // An import has a key of its own: sent again, it is done once and answered the same. A look is asked for again by hand.
  const PAUSE = 5000, NO_ANSWER = [502, 503, 504];
  const IMPORT = {
    tries: 12,
    begun: () => "Checking the file…",
    rest: "Storing them…",
    lost: "Carillon does not answer. Once the connection is back, import again from this page: what was done already is not done twice.",
    failed: "Carillon could not finish this import. Import again: what was done already is not done twice.",
    refused: "The import was refused",
  };
  const LOOK = {
    tries: 1,
    begun: (file) => (file ? `Looking at ${file.name}, ${megabytes(file.size)}…` : "Looking at the file again…"),
    rest: "Making the list…",
    lost: "Carillon does not answer, and nothing was imported. Once the connection is back, look at the file again.",
    failed: "Carillon could not look at this file, and nothing was imported. Try again.",
    refused: "This file was refused",
  };
  const ASKING = "No answer came. Carillon is asked again whether the import took effect…";
  const SIGNED_OUT = "You are signed out, and nothing was imported. Sign in again in another tab, then try again from here.";
  const lines = async function* (stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const found = (rest + part.value).split("\n");
      rest = found.pop();
      yield* found.filter(Boolean).map((line) => JSON.parse(line));
    }
  };
  const tell = (form, { done, total }, words) => {
    Object.assign(one("progress", form), { max: total, value: done });
    const [at, of] = [done, total].map((number) => number.toLocaleString("en-GB"));
    say(form, `${at} of ${of}${done < total ? "" : `. ${words.rest}`}`, "off");
  };
  const answerOf = async (form, asked, words) => {
    const headers = { Accept: "application/x-ndjson", "HX-Request": "true" };
    const answer = await fetch(asked.address, { method: "POST", body: asked.body, headers });
    if (!answer.headers.get("Content-Type")?.startsWith(headers.Accept)) return { status: answer.status, html: await answer.text() };
    for await (const line of lines(answer.body)) if (line.html === undefined) tell(form, line, words); else return line;
    throw new Error(words.lost);
  };
  const askAgain = async (form, asked, words) => {
    for (let tries = 1; ; tries += 1) {
      const found = await answerOf(form, asked, words).catch(() => null);
      const isLast = tries === words.tries;
      if (found && (isLast || !NO_ANSWER.includes(found.status))) return found;
      if (isLast) throw new Error(words.lost);
      one("progress", form).removeAttribute("value");
      say(form, ASKING);
      await new Promise((go) => setTimeout(go, PAUSE));
    }
  };
  const show = ({ status, html }, words) => {
    const found = new DOMParser().parseFromString(html, "text/html");
    if (!found.querySelector("#import")) {
      throw new Error(found.querySelector("[role=alert] p")?.textContent ?? (status < 500 ? `${words.refused} (${status}). Reload the page, then try again.` : words.failed));
    }
    const held = document.activeElement?.id;
    htmx.swap("#import", html, { swapStyle: "outerHTML" });
    (one("#import [data-error-summary]") ?? (held && document.getElementById(held)) ?? one("#import [autofocus]"))?.focus();
  };
  const send = async (form, asked, words) => {
    const found = await askAgain(form, asked, words);
    if (found.status === 401) {
      document.dispatchEvent(new Event("signed-out"));
      throw new Error(SIGNED_OUT);
    }
    show(found, words);
  };

  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (!form.matches("form[data-progress]")) return;
    event.preventDefault();
    const again = submitter?.getAttribute("formaction");
    const words = again || form.matches("[data-drop]") ? LOOK : IMPORT;
    const bar = one("progress", form);
    const soon = setTimeout(() => { bar.hidden = false; }, 200);
    say(form, words.begun(one("[type=file]", form)?.files[0]));
    // Beside its button, which a notice would lie upon.
    send(form, { address: again ?? form.action, body: new FormData(form) }, words).catch((error) => {
      // The choices are again those of the plan that is still shown.
      if (again) form.reset();
      say(form, error.message, "assertive");
    }).finally(() => {
      clearTimeout(soon);
      bar.hidden = true;
      bar.removeAttribute("value");
      delete form.dataset.sending;
      for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
    });
  });
})();
