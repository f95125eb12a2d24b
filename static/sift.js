// A field that narrows what is on the page already, and links that open what they lead to.
(() => {
  const field = document.querySelector("[data-sift]");
  const entries = [...document.querySelectorAll(field.dataset.sift)];
  const texts = new Map(entries.map((entry) => [entry, entry.querySelector("summary").textContent.toLowerCase()]));
  const sift = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [entry, text] of texts) entry.hidden = !words.every((word) => text.includes(word));
    for (const section of new Set(entries.map((entry) => entry.parentElement))) section.hidden = !section.querySelector("[data-entry]:not([hidden])");
    const left = entries.filter((entry) => !entry.hidden).length;
    document.querySelector("[data-sifted]").textContent = words.length ? `${left} of ${entries.length}` : "";
  };
  const open = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const entry = target && target.closest("details");
    if (entry) { entry.open = true; entry.scrollIntoView(); }
  };
  field.addEventListener("input", sift);
  addEventListener("hashchange", open);
  sift();
  open();
})();
