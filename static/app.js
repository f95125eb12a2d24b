// What htmx and the browser do not do by themselves. Everything here only adds: each page works without it.
(() => {
  const doc = document;
  const one = (selector, within = doc) => within.querySelector(selector);
  const all = (selector, within = doc) => [...within.querySelectorAll(selector)];
  const meta = (name) => one(`meta[name="${name}"]`)?.content;
  const on = (name, act, options) => doc.addEventListener(name, act, options);
  const make = (tag, attributes = {}, ...children) => {
    const element = doc.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const icon = (name) => {
    const [svg, use] = ["svg", "use"].map((tag) => doc.createElementNS("http://www.w3.org/2000/svg", tag));
    svg.setAttribute("class", "i");
    svg.setAttribute("aria-hidden", "true");
    use.setAttribute("href", `${meta("icons-src")}#${name}`);
    svg.append(use);
    return svg;
  };

  // Requests

  on("htmx:configRequest", (event) => {
    if (isAnother) { event.preventDefault(); return; }
    event.detail.headers["X-CSRFToken"] = meta("csrf-token") ?? "";
    // The clock asks for what is new; what a person changed is drawn again in any case.
    const { elt: part, verb, triggeringEvent } = event.detail;
    if (verb === "get" && !triggeringEvent && part.matches("[data-live]")) event.detail.headers["X-Shown"] = part.dataset.shown ?? "";
  });

  let underway = 0, current = new Date();
  // What a page that refreshes by itself says when it cannot: how old it is.
  const outdated = () => `Not up to date since ${current.toLocaleTimeString("en-GB")}. It is tried again by itself.`;
  // After an outerHTML swap the event comes from another element; the request still knows who asked.
  const asker = (event) => event.detail.requestConfig?.elt ?? event.detail.elt;
  const isPolling = (event) => asker(event)?.matches?.("[data-live]") && event.detail.requestConfig?.verb === "get";
  // An answer speaks through the element that asked: a part that is swapped meanwhile would take its words along.
  const askers = new Set();
  const isAsking = (part) => [...askers].some((element) => part.contains(element));
  on("htmx:beforeSend", (event) => {
    if (isPolling(event)) return;
    askers.add(asker(event));
    underway += 1;
    setTimeout(() => { if (underway > 0) doc.documentElement.dataset.busy = ""; }, 200);
  });
  on("htmx:afterRequest", (event) => {
    if (isPolling(event)) { if (event.detail.successful) { current = new Date(); dismiss("live"); freshen(); } return; }
    askers.delete(asker(event));
    underway = Math.max(0, underway - 1);
    if (!underway) delete doc.documentElement.dataset.busy;
    if (asker(event)?.matches?.("form")) release(asker(event));
  });

  const SIGNED_OUT = "You are signed out. Sign in again in another tab; what you typed stays on this page.";
  const SIGNED_IN = "You are signed in again. What you typed is still here.";
  const ANOTHER = "Another person or tenant is signed in now. Nothing is sent from this page: copy what you typed, then reload it.";
  const isTypedIn = () => Boolean(one("dialog:modal form, form[data-guard]"));
  let isSignedOut = false, isAnother = false, asking = null;
  const signedOut = () => {
    isSignedOut = true;
    notify({ message: SIGNED_OUT, kind: "error", key: "signed-out", href: "/sign-in", label: "Sign in" });
  };
  on("signed-out", () => { isSignedOut = true; });
  // Another tab may have signed in meanwhile: the same person goes on from here with the token of the new session.
  const look = async () => {
    const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [who, token] = ["signed-in", "csrf-token"].map((name) => one(`meta[name="${name}"]`, page)?.content);
    if (!who || !token) return false;
    dismiss("signed-out");
    isAnother = who !== meta("signed-in");
    if (isAnother) {
      notify({ message: ANOTHER, kind: "error", key: "another", href: location.pathname + location.search, label: "Reload" });
      return false;
    }
    isSignedOut = false;
    one('meta[name="csrf-token"]').content = token;
    all('input[name="csrf_token"]').forEach((field) => { field.value = token; });
    dismiss("another");
    notify({ message: SIGNED_IN });
    return true;
  };
  const regain = () => {
    if (!isSignedOut) return Promise.resolve(true);
    asking ??= look().catch(() => false).finally(() => { asking = null; });
    return asking;
  };
  addEventListener("focus", regain);
  on("visibilitychange", () => { if (!doc.hidden) regain(); });
  // The way to the sign-in page would lead away from what was typed.
  on("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.status !== 401 || !isTypedIn()) return;
    event.preventDefault();
    signedOut();
  });
  on("htmx:responseError", (event) => {
    const { status, responseText } = event.detail.xhr;
    if (status === 401) { signedOut(); return; }
    const told = new DOMParser().parseFromString(responseText, "text/html").querySelector("body > [role=alert] p")?.textContent;
    const message = isPolling(event) ? outdated() : told || (status >= 500
      ? "Carillon could not finish this. Reload to see whether it took effect before trying again."
      : `The request was refused (${status}). Reload the page, then try again.`);
    notify({ message, kind: "error", key: isPolling(event) ? "live" : "" });
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) on(name, (event) => notify({
    message: isPolling(event) ? outdated() : "Carillon did not answer. Check the connection, then reload to see whether the change arrived.",
    kind: "error", key: isPolling(event) ? "live" : "",
  }));

  // A second submit of the same form waits for the first. `disabled` would lose the focus, so the button only says so.
  const release = (form) => {
    delete form.dataset.sending;
    all('[aria-disabled="true"]', form).forEach((button) => button.removeAttribute("aria-disabled"));
  };
  on("submit", (event) => {
    const form = event.target;
    if (form.dataset.sending !== undefined) { event.preventDefault(); event.stopImmediatePropagation(); return; }
    if (isSignedOut && (form.method === "post" || form.matches("[hx-post]"))) {
      event.preventDefault(); event.stopImmediatePropagation();
      const { submitter } = event;
      regain().then((isBack) => {
        if (isBack) form.requestSubmit(submitter);
        else { delete form.dataset.confirmed; if (!isAnother) signedOut(); }
      });
      return;
    }
    if (form.dataset.confirm && form.dataset.confirmed === undefined) {
      event.preventDefault(); event.stopImmediatePropagation();
      confirmThen(form, event.submitter);
      return;
    }
    delete form.dataset.confirmed;
    if (form.method !== "post") return;
    form.dataset.sending = "";
    all('button:not([type="button"]), input[type="submit"]', form).forEach((button) => button.setAttribute("aria-disabled", "true"));
  }, true);
  addEventListener("pageshow", () => all("form[data-sending]").forEach(release));

  const confirmThen = (form, submitter) => {
    const dialog = one("#confirm");
    const go = one("[data-go]", dialog);
    one("h2", dialog).textContent = form.dataset.confirm;
    one("p", dialog).textContent = form.dataset.confirmMore ?? "";
    go.textContent = form.dataset.confirmVerb ?? submitter?.textContent.trim() ?? "Continue";
    go.className = `btn ${form.dataset.confirmTone === "plain" ? "btn-primary" : "btn-danger"}`;
    go.onclick = () => { dialog.close(); form.dataset.confirmed = ""; form.requestSubmit(submitter ?? undefined); };
    dialog.showModal();
  };

  // Notices (toasts)

  const shelf = () => one("#notices");
  const raise = () => {
    // What lies outside an open modal dialog is covered and inert, so the notices move into it.
    const place = all("dialog:modal").at(-1) ?? doc.body;
    if (shelf().parentElement !== place) place.append(shelf());
  };
  on("close", raise, true);
  const dismiss = (key) => all(`.notice[data-key="${key}"]`).forEach((notice) => notice.remove());
  const isLocal = (href) => typeof href === "string" && /^\/(?![\/\\])/.test(href);
  const keep = (notice) => {
    raise();
    if (notice.dataset.kind === "error") return;
    let timer;
    const start = () => { timer = setTimeout(() => notice.remove(), one("a, .link", notice) ? 10000 : 6000); };
    const stop = () => clearTimeout(timer);
    for (const name of ["pointerenter", "focusin"]) notice.addEventListener(name, stop);
    for (const name of ["pointerleave", "focusout"]) notice.addEventListener(name, () => { stop(); start(); });
    start();
  };
  const notify = ({ message, href, label, kind = "ok", undo, key = "" }) => {
    if (key && one(`.notice[data-key="${key}"]`)) return;
    const say = make("div", { class: "say" }, make("span", {}, String(message)));
    if (isLocal(href)) say.append(make("a", { href }, label || "Open"));
    if (isLocal(undo?.url)) {
      const button = make("button", { type: "button", class: "link" }, "Undo");
      button.addEventListener("click", () => { notice.remove(); htmx.ajax("POST", undo.url, { swap: "none" }).catch(() => {}); });
      say.append(button);
    }
    const bad = kind === "error";
    const close = make("button", { type: "button", class: "btn btn-ghost btn-icon btn-sm close", "aria-label": "Dismiss", "data-dismiss": "" }, icon("x"));
    const lead = make("span", { class: bad ? "t-fail" : "t-ok" }, icon(bad ? "alert-triangle" : "check-circle"));
    const notice = make("div", { class: "notice", "data-kind": kind, "data-key": key, role: bad ? "alert" : "status" }, lead, say, close);
    shelf().append(notice);
    keep(notice);
  };
  on("toast", (event) => notify(typeof event.detail.value === "string" ? { message: event.detail.value } : event.detail));

  // After a swap: errors get the focus, open parts stay open, new parts get their enhancements

  on("htmx:beforeRequest", (event) => {
    const part = event.detail.elt;
    if (!part.matches?.("[data-live]") || !isPolling(event)) return;
    const focus = doc.activeElement;
    const isTyping = part.contains(focus) && focus !== part && (focus.matches("input, textarea, select") || !(focus.id || known(focus)));
    const selected = getSelection();
    const isReading = selected && !selected.isCollapsed && part.contains(selected.anchorNode);
    // Only the clock waits for the dialog and for an answer: a change that they made is shown at once.
    const isClock = !event.detail.requestConfig?.triggeringEvent;
    const isCovered = isClock && one("dialog:modal") && !part.closest("dialog");
    if (doc.hidden || isSignedOut || isCovered || (isClock && isAsking(part)) || isTyping || isReading || one("details.menu[open], input:checked", part)) event.preventDefault();
  });
  // htmx keeps the focus of what has an id; a link is known by its address, a control by its name and value, the button
  // of an action by where its form goes.
  const known = (element) => {
    const action = element.matches("form[action] button:not([name])") && element.form.getAttribute("action");
    if (action) return `form[action="${CSS.escape(action)}"] button`;
    const keep = ["href", "name", "value", "aria-label"].filter((name) => element.hasAttribute(name));
    return keep.length ? element.localName + keep.map((name) => `[${name}="${CSS.escape(element.getAttribute(name))}"]`).join("") : "";
  };
  let opened = [], focused = "", pointed = 0;
  // Rows that change places while someone aims at one would put another one under the pointer.
  on("pointermove", () => { pointed = Date.now(); }, { passive: true });
  const rowsOf = (within) => all("tbody tr[id]", within).map((row) => row.id).join();
  const isAimedAt = (part) => Date.now() - pointed < 10000 && part.matches(":has(tbody:hover)");
  on("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    if (isPolling(event) && isAsking(part)) { event.detail.shouldSwap = false; return; }
    const isClock = isPolling(event) && !event.detail.requestConfig.triggeringEvent;
    if (isClock && isAimedAt(part)) {
      const next = new DOMParser().parseFromString(event.detail.serverResponse, "text/html");
      if (rowsOf(next) !== rowsOf(part)) { event.detail.shouldSwap = false; return; }
    }
    const focus = doc.activeElement;
    focused = event.detail.target?.contains(focus) && focus !== event.detail.target && !focus.id ? known(focus) : "";
    opened = all("details[open][id]", event.detail.target).map((part) => part.id);
  });
  on("htmx:afterSettle", (event) => {
    opened.forEach((id) => doc.getElementById(id)?.setAttribute("open", ""));
    opened = [];
    if (focused && doc.activeElement === doc.body) (one(focused) ?? one("main")).focus({ preventScroll: true });
    focused = "";
    const part = event.detail.target?.isConnected ? event.detail.target : doc;
    enhance(part);
    // What a part shows is known as long as nothing else was put into it.
    delete event.detail.target?.closest?.("[data-live]")?.dataset.shown;
    const shown = isPolling(event) && event.detail.xhr?.getResponseHeader("X-Shown");
    if (shown) doc.getElementById(asker(event).id)?.setAttribute("data-shown", shown);
    if ([409, 422].includes(event.detail.xhr?.status)) one("[data-error-summary]", part)?.focus();
  });
  const enhance = (part) => {
    freshen();
    const areas = all('textarea[data-editor="json"]', part);
    if (areas.length) import(meta("editor-src")).then((editor) => areas.forEach(editor.enhance)).catch(() => { /* the plain textarea stays */ });
  };

  // Times

  // The same words as domain/timing/words.py, so that nothing changes when a page comes alive.
  const SIZES = [[1, "s", 60], [60, "min", 60], [3600, "h", 24], [86400, "d", Infinity]];
  const relative = (seconds) => {
    const size = Math.abs(Math.round(seconds));
    if (size < 5) return "just now";
    const [unit, word] = SIZES.find(([length, , limit]) => Math.round(size / length) < limit);
    const amount = `${Math.round(size / unit)} ${word}`;
    return seconds > 0 ? `in ${amount}` : `${amount} ago`;
  };
  const freshen = () => all("time[data-relative]").forEach((time) => {
    const words = relative((Date.parse(time.dateTime) - Date.now()) / 1000);
    if (time.textContent !== words) time.textContent = words;
  });
  const written = (instant, timeZone) => new Intl.DateTimeFormat("en-GB", {
    weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone,
  }).format(instant);
  const tip = make("div", { class: "tip", role: "tooltip", popover: "manual" });
  const showTip = (event) => {
    const time = event.target.closest?.("time[datetime]");
    if (!time || !tip.showPopover) return;
    const instant = new Date(time.dateTime);
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    // The title serves where scripts do not; its words move into the tip, so that there are never two.
    if (time.title) { time.dataset.local = time.title; time.removeAttribute("title"); }
    tip.textContent = `${time.dataset.local ? `${time.dataset.local}\n` : ""}${written(instant, "UTC")}  UTC\n${written(instant)}  ${here} (yours)`;
    doc.body.append(tip);
    tip.showPopover();
    const box = time.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${box.bottom + tip.offsetHeight + 10 > innerHeight ? box.top - tip.offsetHeight - 6 : box.bottom + 6}px`;
  };
  const hideTip = () => { if (tip.isConnected) tip.remove(); };
  for (const name of ["pointerover", "focusin"]) on(name, showTip);
  for (const name of ["pointerout", "focusout"]) on(name, hideTip);
  on("scroll", () => { if (tip.isConnected) { hideTip(); showTip({ target: doc.activeElement }); } }, true);
  setInterval(freshen, 30000);

  // Menus, copying, theme

  const closeMenus = (except) => all("details.menu[open]").forEach((menu) => { if (menu !== except) menu.open = false; });
  on("click", (event) => {
    if (event.target.closest("[data-dismiss]")) event.target.closest(".notice").remove();
    const item = event.target.closest("details.menu .items a, details.menu .items button");
    closeMenus(item ? null : event.target.closest("details.menu"));
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const source = doc.getElementById(copy.dataset.copy);
      navigator.clipboard?.writeText(source?.value ?? source?.textContent ?? "")
        .then(() => notify({ message: "Copied" }), () => notify({ message: "Copying is not allowed here. Select the text instead.", kind: "error" }));
    }
    // By script, because a change of the address would be taken for a step in the history and close the drawer.
    const place = event.target.closest('a[href^="#"]');
    const aim = place && doc.getElementById(place.getAttribute("href").slice(1));
    if (aim) { event.preventDefault(); aim.scrollIntoView({ block: "center" }); aim.focus(); }
    const theme = event.target.closest("[data-theme-choice-of]");
    if (theme) { doc.dispatchEvent(new CustomEvent("theme:choose", { detail: theme.dataset.themeChoiceOf })); markTheme(); }
  });
  on("toggle", (event) => {
    const menu = event.target;
    if (!menu.matches?.("details.menu") || !menu.open) return;
    closeMenus(menu);
    const items = one(".items", menu);
    menu.classList.toggle("up", items.getBoundingClientRect().bottom > innerHeight && menu.getBoundingClientRect().top > items.offsetHeight);
  }, true);
  on("focusout", (event) => {
    const menu = event.target.closest("details.menu[open]");
    if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
  on("keydown", (event) => {
    const menu = event.key === "Escape" && one("details.menu[open]");
    if (!menu) return;
    event.preventDefault();
    menu.open = false;
    one("summary", menu).focus();
  });
  const markTheme = () => all("[data-theme-choice-of]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoiceOf === doc.documentElement.dataset.themeChoice));
  });

  // Start

  on("DOMContentLoaded", () => {
    markTheme();
    enhance(doc);
    all(".notice").forEach(keep);
    // Sideways only: tabs may stand far down a page.
    const tab = one(".tabs [aria-current]");
    if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - (tab.parentElement.clientWidth - tab.offsetWidth) / 2;
  });
})();
