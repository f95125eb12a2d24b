// Shortcuts. A key presses the element that carries it in data-key: the one in the current row first, else one of the page.
(() => {
  const PLACES = { s: "/schedules", w: "/workflows", r: "/runs", e: "/events", t: "/tasks" };
  const LINKS = ".sheet tbody a.name";
  let isGoing = false;

  const press = (key) => {
    const row = document.activeElement?.closest(".sheet tbody tr");
    const target = row?.querySelector(`[data-key="${key}"]`) ?? [...document.querySelectorAll(`[data-key="${key}"]`)].find((element) => !element.closest(".sheet tbody tr, dialog"));
    target?.click();
    return Boolean(target);
  };
  const step = (by) => {
    const links = [...document.querySelectorAll(LINKS)];
    if (!links.length) return false;
    const row = document.activeElement?.closest("tr");
    const at = links.findIndex((link) => link === document.activeElement || (row && row.contains(link)));
    const next = links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + by))];
    next.focus({ preventScroll: true });
    next.closest("tr").scrollIntoView({ block: "nearest" });
    return true;
  };
  const search = () => {
    const box = document.querySelector('main input[type="search"]');
    box?.focus();
    box?.select();
    return Boolean(box);
  };
  const help = () => {
    const dialog = document.getElementById("keys");
    dialog?.showModal();
    return Boolean(dialog);
  };
  const go = (key) => {
    if (PLACES[key] && document.querySelector(`header a[href="${PLACES[key]}"]`)) location.assign(PLACES[key]);
    return Boolean(PLACES[key]);
  };

  document.addEventListener("click", (event) => { if (event.target.closest("[data-keys-help]")) help(); });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape" && event.target.matches('main input[type="search"]')) {
      // What was searched for stays; without this the browser would empty the field and keep the focus in it.
      event.preventDefault();
      event.target.blur();
      return;
    }
    if (event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]")) return;
    if (document.querySelector("dialog:modal")) return;
    const { key } = event;
    let isDone = false;
    if (isGoing) { isGoing = false; isDone = go(key); }
    else if (key === "g") { isGoing = isDone = true; setTimeout(() => { isGoing = false; }, 1200); }
    else if (key === "/") isDone = search();
    else if (key === "?") isDone = help();
    else if (key === "j") isDone = step(1);
    else if (key === "k") isDone = step(-1);
    else if (["c", "e", "p", "x"].includes(key)) isDone = press(key);
    if (isDone) event.preventDefault();
  });
})();
