// Blocking and tiny: sets the theme before the first paint. "system" is the absence of a choice.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try { return localStorage.getItem("theme"); } catch { return null; }
  };
  const apply = () => {
    const theme = chosen();
    root.dataset.themeChoice = theme || "system";
    root.dataset.bsTheme = theme || (dark.matches ? "dark" : "light");
  };
  root.dataset.js = "";
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("theme:choose", (event) => {
    try {
      if (event.detail === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", event.detail);
    } catch { /* private mode: the choice lasts for this page */ }
    apply();
  });
})();
