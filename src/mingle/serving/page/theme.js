// The theme that was chosen, before anything is drawn; no choice follows the system.
(() => {
  const chosen = localStorage.getItem("mingle-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
})();
