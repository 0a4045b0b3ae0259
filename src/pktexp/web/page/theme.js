// The theme: that of the system, or the choice stored in the browser.

import { find } from "./dom.js";

const KEY = "pktexp-theme";

// Calls `changed` when the colours change.
export function followTheme(changed) {
  const select = find("theme");
  select.value = remembered();
  apply(select.value);
  select.addEventListener("input", () => {
    remember(select.value);
    apply(select.value);
    changed();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

function apply(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function remembered() {
  try {
    const theme = window.localStorage.getItem(KEY);
    return ["light", "dark"].includes(theme) ? theme : "auto";
  } catch {
    return "auto"; // storage may be disabled
  }
}

function remember(theme) {
  try {
    window.localStorage.setItem(KEY, theme);
  } catch {
    // The choice then lasts until the page is closed.
  }
}
