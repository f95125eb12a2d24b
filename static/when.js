// The timing part of a schedule's form: what is typed while another way to repeat is being drawn stays, and the zone of
// this browser stands first among those to choose from.
(() => {
  document.addEventListener("input", (event) => {
    const part = event.target.closest?.("#when-fields") && event.target.closest(".when");
    if (part) htmx.trigger(part.querySelector("[data-ways]"), "htmx:abort");
  });

  const offerZone = () => {
    const list = document.getElementById("zones");
    if (!list || list.dataset.here) return;
    list.dataset.here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const option = [...list.options].find(({ value }) => value === list.dataset.here);
    if (!option) return;
    option.textContent += ", of this browser";
    list.prepend(option);
  };
  document.addEventListener("DOMContentLoaded", offerZone);
  document.addEventListener("htmx:afterSettle", offerZone);
})();
