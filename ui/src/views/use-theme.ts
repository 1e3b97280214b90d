import { useState } from "preact/hooks";

type Theme = "light" | "dark";

/** The system's choice until the person makes their own, which this browser then keeps. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(keptTheme() ?? systemTheme());
  const toggle = () => {
    const next = theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("openclaw.theme", next);
    } catch {
      // Forbidden storage: the choice holds until the page is closed.
    }
    setTheme(next);
  };
  return [theme, toggle];
}

/** Before the first paint, so that nobody is dazzled. */
export function applyKeptTheme(): void {
  const theme = keptTheme();
  if (theme) document.documentElement.dataset.theme = theme;
}

function keptTheme(): Theme | undefined {
  try {
    const kept = localStorage.getItem("openclaw.theme");
    return kept === "light" || kept === "dark" ? kept : undefined;
  } catch {
    return undefined;
  }
}

function systemTheme(): Theme {
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
