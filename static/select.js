// Rows of a list that are selected: all of the page at once, a range with Shift, how many in words.
(() => {
  const BOXES = 'tbody .c-sel input[type="checkbox"]';
  const sheet = () => document.querySelector(".sheet:has([data-select-page])");
  const boxes = () => [...(sheet()?.querySelectorAll(BOXES) ?? [])];
  let last = null;

  const tell = () => {
    const part = sheet();
    if (!part) return;
    const all = boxes(), chosen = all.filter((box) => box.checked).length;
    const head = part.querySelector("[data-select-page]");
    head.checked = chosen === all.length;
    head.indeterminate = chosen > 0 && chosen < all.length;
    const said = part.querySelector("[data-selected]");
    if (!part.querySelector('#bulk input[name="all"]')) said.textContent = chosen ? `${chosen} selected` : "";
  };
  // What is left is chosen by hand, and no longer all that match.
  const narrow = () => sheet()?.querySelector('#bulk input[name="all"]')?.remove();
  const clear = () => {
    narrow();
    boxes().forEach((box) => { box.checked = false; });
    last = null;
    tell();
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-select-none]")) { event.preventDefault(); clear(); return; }
    const box = event.target.closest?.(BOXES);
    if (!box) return;
    const all = boxes(), from = all.findIndex((one) => one.id === last);
    if (event.shiftKey && from >= 0) {
      const [low, high] = [from, all.indexOf(box)].sort((a, b) => a - b);
      all.slice(low, high + 1).forEach((one) => { one.checked = box.checked; });
    }
    last = box.id;
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("[data-select-page]")) boxes().forEach((box) => { box.checked = event.target.checked; });
    else if (!event.target.matches?.(BOXES)) return;
    if (!event.target.checked) narrow();
    tell();
  });
  // What was selected is done: nothing keeps the list from refreshing any more.
  document.addEventListener("selection:clear", clear);
  for (const name of ["DOMContentLoaded", "htmx:afterSettle"]) document.addEventListener(name, tell);
  addEventListener("pageshow", tell);
})();
