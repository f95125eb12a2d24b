// Turns a textarea into a JSON editor: colours, matching brackets, undo, marks at lines. The textarea stays the form's field.
import { createEditor, defaultKeymap, editHistory, editorCommands, matchBrackets } from "./vendor/prism-code-editor-5.4.0.js";

// Tab moves the focus, as everywhere else on the page; Ctrl+] and Ctrl+[ indent.
const keymap = Object.fromEntries(Object.entries(defaultKeymap).filter(([key]) => !/(^|\+)(Tab|m)$/.test(key)));
const editors = new Map(); // by the id of the field
let left = null; // where the cursor was in a field that a swap takes away

export const enhance = (area) => {
  if (area.dataset.enhanced !== undefined || area.disabled) return;
  const box = document.createElement("div");
  box.className = "code-edit";
  const isNamed = area.labels.length > 0;
  const editor = createEditor(
    box,
    { language: "json", value: area.value, wordWrap: true, readOnly: area.readOnly, tabSize: 2 },
    matchBrackets(false), editorCommands(keymap), editHistory(),
  );
  const field = editor.textarea;
  for (const { name, value } of [...area.attributes]) if (/^(id|name|form|required|maxlength|aria-.*|data-editor)$/.test(name)) field.setAttribute(name, value);
  if (!isNamed && !area.hasAttribute("aria-label")) field.setAttribute("aria-label", "JSON");
  field.dataset.enhanced = "";
  const hadFocus = document.activeElement === area;
  area.replaceWith(box);
  if (hadFocus) field.focus({ preventScroll: true });
  if (!field.id) return;
  editors.set(field.id, editor);
  if (left?.id === field.id) {
    field.setSelectionRange(left.at, left.at);
    editor.container.scrollTop = left.top;
    // Not away from what a refused save has to say.
    if (!document.activeElement?.matches("[data-error-summary]")) scrollTo({ top: left.page });
    left = null;
  }
  mark();
};

// Problems: every element with data-line inside data-problems-of="<id of the field>" marks its line.
const mark = () => {
  for (const [id, editor] of editors) {
    if (!editor.textarea.isConnected) { editors.delete(id); continue; }
    for (const line of editor.lines) line.classList.remove("has-error", "has-warning");
    for (const said of document.querySelectorAll(`[data-problems-of="${CSS.escape(id)}"] [data-line]`)) {
      editor.lines[Number(said.dataset.line)]?.classList.add(said.dataset.severity === "warning" ? "has-warning" : "has-error");
    }
  }
};

const offset = (text, line) => {
  let start = 0;
  for (let n = 1; n < line; n += 1) {
    const end = text.indexOf("\n", start);
    if (end < 0) break;
    start = end + 1;
  }
  return start;
};

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[data-line][href^="#"]');
  const field = link && document.getElementById(link.getAttribute("href").slice(1));
  if (!field?.setSelectionRange) return;
  event.preventDefault();
  const start = offset(field.value, Number(link.dataset.line));
  const end = field.value.indexOf("\n", start);
  field.focus({ preventScroll: true });
  field.setSelectionRange(start + field.value.slice(start).search(/\S|$/), end < 0 ? field.value.length : end);
  const line = editors.get(field.id)?.lines[Number(link.dataset.line)];
  (line ?? field).scrollIntoView({ block: "center" });
});

// A link to a field opens the group that the field is folded into, before anything tries to focus it.
document.addEventListener("click", (event) => {
  const place = event.target.closest('a[href^="#"]')?.getAttribute("href").slice(1);
  const group = place && document.getElementById(place)?.closest("details");
  if (group) group.open = true;
}, true);

document.addEventListener("htmx:beforeSwap", (event) => {
  for (const [id, editor] of editors) {
    if (!event.detail.target?.contains(editor.textarea)) continue;
    left = { id, at: editor.textarea.selectionStart, top: editor.container.scrollTop, page: scrollY };
  }
});
document.addEventListener("htmx:afterSettle", mark);

// Where one writes code, Ctrl+S means: keep this.
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s" || event.altKey || event.shiftKey) return;
  const form = event.target.closest?.("form[data-guard]");
  if (!form) return;
  event.preventDefault();
  form.requestSubmit();
});
