/* Before the first paint, so that a page that was set to dark does not flash. */
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    /* storage is off: the system's preference holds */
  }
})();
