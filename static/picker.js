// The workflow picker: a combobox over the results that the server fills in. Without scripts they are buttons of the form.
(() => {
  const pickerOf = (element) => element?.closest?.("[data-picker]");
  const inputOf = (picker) => picker.querySelector("[role=combobox]");
  const popupOf = (picker) => picker.querySelector(".results");
  const optionsOf = (picker) => [...picker.querySelectorAll("[role=option]")];
  const isOpen = (picker) => "open" in popupOf(picker).dataset;
  const active = (picker) => optionsOf(picker).find((option) => option.ariaSelected === "true");

  const mark = (picker, chosen) => {
    for (const option of optionsOf(picker)) option.setAttribute("aria-selected", String(option === chosen));
    if (chosen) inputOf(picker).setAttribute("aria-activedescendant", chosen.id);
    else inputOf(picker).removeAttribute("aria-activedescendant");
    chosen?.scrollIntoView({ block: "nearest" });
  };
  const show = (picker, isShown) => {
    const options = optionsOf(picker);
    popupOf(picker).hidden = false;
    popupOf(picker).toggleAttribute("data-open", isShown);
    inputOf(picker).setAttribute("aria-expanded", String(isShown && options.length > 0));
    // The arrow keys go through them; Tab leaves the field.
    for (const option of options) option.tabIndex = -1;
    if (!isShown) mark(picker, null);
  };
  const settle = (picker) => {
    show(picker, false);
    inputOf(picker).dispatchEvent(new Event("change", { bubbles: true }));
  };
  const choose = (picker, option) => {
    inputOf(picker).value = option.value;
    inputOf(picker).focus();
    settle(picker);
  };
  const step = (picker, by) => {
    const options = optionsOf(picker);
    if (!isOpen(picker)) show(picker, true);
    const at = options.indexOf(active(picker));
    const to = at < 0 ? (by > 0 ? 0 : options.length - 1) : (at + by + options.length) % options.length;
    mark(picker, options[to]);
  };

  document.addEventListener("keydown", (event) => {
    if (!event.target.matches?.("[data-picker] [role=combobox]") || event.isComposing) return;
    const picker = pickerOf(event.target);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") step(picker, event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Escape" && isOpen(picker)) show(picker, false);
    else if (event.key === "Enter" && isOpen(picker)) {
      if (active(picker)) choose(picker, active(picker));
      else settle(picker);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  document.addEventListener("htmx:afterSettle", (event) => {
    const picker = event.detail.target?.matches?.(".results") && pickerOf(event.detail.target);
    if (!picker || document.activeElement !== inputOf(picker)) return;
    show(picker, true);
    mark(picker, inputOf(picker).value ? optionsOf(picker)[0] : null);
  });
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest?.("[data-picker] [role=option]")) event.preventDefault(); // the field keeps the focus
  });
  document.addEventListener("click", (event) => {
    const picker = pickerOf(event.target);
    const option = event.target.closest?.("[role=option]");
    if (picker && option) {
      event.preventDefault();
      event.stopPropagation();
      choose(picker, option);
    } else if (picker && event.target === inputOf(picker)) show(picker, true);
  }, true);
  document.addEventListener("focusout", (event) => {
    const picker = pickerOf(event.target);
    if (picker && !picker.contains(event.relatedTarget)) show(picker, false);
  });

  // The name that stands grey in an empty field follows what runs and when.
  const suggest = () => {
    const form = document.getElementById("dialog-form");
    const name = form?.querySelector("input#name[data-suggest]");
    if (!name) return;
    const words = [form.querySelector("#workflow")?.value, form.querySelector("#timing-preview b")?.textContent];
    if (words[0]?.trim()) name.placeholder = words.filter(Boolean).join(": ").slice(0, 128);
  };
  document.addEventListener("htmx:afterSettle", suggest);
})();
